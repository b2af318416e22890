package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsaradmin"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/admin/config"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/utils"
)

func init() {
	features["admin-tenants-and-namespaces"] = adminTenants
	features["admin-topics"] = adminTopics
	features["admin-subscriptions"] = adminSubscriptions
	features["admin-schemas"] = adminSchemas
	features["admin-packages"] = adminPackages
	features["admin-brokers"] = adminBrokers
}

func post(base, method, path, body string) {
	request, err := http.NewRequest(method, base+path, strings.NewReader(body))
	must(err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	must(err)
	defer response.Body.Close()
	that(response.StatusCode < 300, path, " answered ", response.Status)
}

func (s *session) adminClient() pulsaradmin.Client {
	made, err := pulsaradmin.NewClient(&pulsaradmin.Config{WebServiceURL: s.admin})
	must(err)
	return made
}

func (s *session) packageClient() pulsaradmin.Client {
	made, err := pulsaradmin.NewClient(&pulsaradmin.Config{WebServiceURL: s.admin, PulsarAPIVersion: config.V3})
	must(err)
	return made
}

func (s *session) name() utils.TopicName {
	name, err := utils.GetTopicName(s.topic)
	must(err)
	return *name
}

func adminTenants(s *session) {
	admin := s.adminClient()
	tenant := "go" + s.topic[strings.LastIndex(s.topic, "-")+1:]
	must(admin.Tenants().Create(utils.TenantData{Name: tenant, AllowedClusters: []string{"standalone"}, AdminRoles: []string{"me"}}))
	found, err := admin.Tenants().Get(tenant)
	must(err)
	that(slices.Equal(found.AdminRoles, []string{"me"}), found)
	namespace := tenant + "/n"
	must(admin.Namespaces().CreateNamespace(namespace))
	must(admin.Namespaces().SetRetention(namespace, utils.NewRetentionPolicies(10, 20)))
	retention, err := admin.Namespaces().GetRetention(namespace)
	must(err)
	that(retention.RetentionSizeInMB == 20, retention)
	must(admin.Namespaces().SetNamespaceMessageTTL(namespace, 30))
	ttl, err := admin.Namespaces().GetNamespaceMessageTTL(namespace)
	must(err)
	that(ttl == 30, "the time to live is ", ttl)
	name, err := utils.GetNamespaceName(namespace)
	must(err)
	consume, err := utils.ParseAuthAction("consume")
	must(err)
	must(admin.Namespaces().GrantNamespacePermission(*name, "me", []utils.AuthAction{consume}))
	granted, err := admin.Namespaces().GetNamespacePermissions(*name)
	must(err)
	that(slices.Equal(granted["me"], []utils.AuthAction{consume}), granted)
	must(admin.Namespaces().RevokeNamespacePermission(*name, "me"))
	granted, err = admin.Namespaces().GetNamespacePermissions(*name)
	must(err)
	that(len(granted) == 0, granted)
	namespaces, err := admin.Namespaces().GetNamespaces(tenant)
	must(err)
	that(slices.Equal(namespaces, []string{namespace}), namespaces)
	policies, err := admin.Namespaces().GetPolicies(namespace)
	must(err)
	that(policies.RetentionPolicies.RetentionSizeInMB == 20, policies)
	must(admin.Namespaces().DeleteNamespace(namespace))
	must(admin.Tenants().Delete(tenant))
}

func adminTopics(s *session) {
	admin := s.adminClient()
	must(admin.Topics().Create(s.name(), 0))
	s.send(3, false)
	stats, err := admin.Topics().GetStats(s.name())
	must(err)
	that(stats.StorageSize > 0, stats)
	internal, err := admin.Topics().GetInternalStats(s.name())
	must(err)
	that(internal.NumberOfEntries == 3, internal)
	last, err := admin.Topics().GetLastMessageID(s.name())
	must(err)
	that(last.EntryID == 2, last)
	must(admin.Topics().Compact(s.name()))
	status, err := admin.Topics().CompactStatus(s.name())
	must(err)
	that(status.Status == utils.SUCCESS, status)
	must(admin.Topics().Delete(s.name(), false, true))
	s.topic += "-p"
	must(admin.Topics().Create(s.name(), 2))
	must(admin.Topics().Update(s.name(), 3))
	metadata, err := admin.Topics().GetMetadata(s.name())
	must(err)
	that(metadata.Partitions == 3, metadata)
	namespace, err := utils.GetNamespaceName("public/default")
	must(err)
	partitioned, plain, err := admin.Topics().List(*namespace)
	must(err)
	that(slices.Contains(partitioned, s.topic) && slices.Contains(plain, s.topic+"-partition-2"), partitioned, plain)
	found, err := admin.Topics().Lookup(s.name())
	must(err)
	that(found.BrokerURL == s.url, found)
	merged, err := admin.Topics().GetPartitionedStats(s.name(), true)
	must(err)
	that(len(merged.Partitions) == 3, merged)
	must(admin.Topics().Delete(s.name(), false, false))
}

func adminSubscriptions(s *session) {
	admin := s.adminClient()
	must(admin.Topics().Create(s.name(), 0))
	must(admin.Subscriptions().Create(s.name(), "s", utils.Earliest))
	s.send(10, false)
	names, err := admin.Subscriptions().List(s.name())
	must(err)
	that(slices.Equal(names, []string{"s"}), names)
	must(admin.Subscriptions().SkipMessages(s.name(), "s", 4))
	backlog(s, admin, 6)
	must(admin.Subscriptions().ResetCursorToTimestamp(s.name(), "s", 0))
	backlog(s, admin, 10)
	must(admin.Subscriptions().ResetCursorToMessageID(s.name(), "s", utils.Latest))
	backlog(s, admin, 0)
	must(admin.Subscriptions().ResetCursorToMessageID(s.name(), "s", utils.Earliest))
	must(admin.Subscriptions().ExpireMessages(s.name(), "s", 1000))
	backlog(s, admin, 10)
	peeked, err := admin.Subscriptions().PeekMessages(s.name(), "s", 2)
	must(err)
	that(len(peeked) == 2 && string(peeked[1].Payload) == "1", peeked)
	must(admin.Subscriptions().ClearBacklog(s.name(), "s"))
	backlog(s, admin, 0)
	must(admin.Subscriptions().Delete(s.name(), "s"))
}

func backlog(s *session, admin pulsaradmin.Client, expected int64) {
	stats, err := admin.Topics().GetStats(s.name())
	must(err)
	found := stats.Subscriptions["s"].MsgBacklog
	that(found == expected, "the backlog is ", found, ", not ", expected)
}

func adminSchemas(s *session) {
	admin := s.adminClient()
	must(admin.Schemas().CreateSchemaByPayload(s.topic, utils.PostSchemaPayload{SchemaType: "AVRO", Schema: one, Properties: map[string]string{}}))
	found, err := admin.Schemas().GetSchemaInfo(s.topic)
	must(err)
	that(string(found.Type) == "AVRO" && string(found.Schema) == one, found)
	must(admin.Schemas().DeleteSchema(s.topic))
	_, err = admin.Schemas().GetSchemaInfo(s.topic)
	that(err != nil, "a deleted schema is there")
}

func adminPackages(s *session) {
	admin := s.packageClient()
	folder, err := os.MkdirTemp("", "package")
	must(err)
	defer os.RemoveAll(folder)
	sent, received := filepath.Join(folder, "a.py"), filepath.Join(folder, "b.py")
	must(os.WriteFile(sent, []byte("def process(input): return input"), 0o600))
	url := "function://public/default/" + s.topic[strings.LastIndex(s.topic, "-")+1:] + time.Now().Format("150405") + "@v1"
	must(admin.Packages().Upload(url, sent, "d", "c", map[string]string{"a": "b"}))
	must(admin.Packages().Download(url, received))
	content, err := os.ReadFile(received)
	must(err)
	that(strings.HasPrefix(string(content), "def process"), string(content))
	metadata, err := admin.Packages().GetMetadata(url)
	must(err)
	that(metadata.Description == "d", metadata)
	versions, err := admin.Packages().ListVersions(strings.TrimSuffix(url, "@v1"))
	must(err)
	that(slices.Equal(versions, []string{"v1"}), versions)
	names, err := admin.Packages().List("function", "public/default")
	must(err)
	that(len(names) > 0, "no package is listed")
	must(admin.Packages().Delete(url))
}

func adminBrokers(s *session) {
	admin := s.adminClient()
	clusters, err := admin.Clusters().List()
	must(err)
	that(slices.Equal(clusters, []string{"standalone"}), clusters)
	active, err := admin.Brokers().GetActiveBrokers("standalone")
	must(err)
	that(len(active) == 1, active)
	must(admin.Brokers().HealthCheck())
}
