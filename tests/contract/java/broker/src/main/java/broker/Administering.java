package broker;

import static broker.Check.same;
import static broker.Check.that;

import broker.Check.Feature;
import broker.Check.Session;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.pulsar.client.admin.LongRunningProcessStatus;
import org.apache.pulsar.client.admin.PulsarAdmin;
import org.apache.pulsar.client.admin.PulsarAdminException;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.SubscriptionType;
import org.apache.pulsar.common.policies.data.AuthAction;
import org.apache.pulsar.common.policies.data.BacklogQuota;
import org.apache.pulsar.common.policies.data.RetentionPolicies;
import org.apache.pulsar.common.policies.data.SubscriptionAuthMode;
import org.apache.pulsar.common.policies.data.TenantInfo;
import org.apache.pulsar.common.policies.data.TopicStats;
import org.apache.pulsar.common.schema.SchemaInfo;

/** Pulsar's own admin client. */
final class Administering {
    static void addTo(Map<String, Feature> features) {
        features.put("admin-tenants-and-namespaces", Administering::tenants);
        features.put("admin-permissions", Administering::permissions);
        features.put("admin-topics", Administering::topics);
        features.put("admin-subscriptions", Administering::subscriptions);
        features.put("admin-messages", Administering::messages);
        features.put("admin-schemas", Administering::schemas);
        features.put("admin-packages", Administering::packages);
        features.put("admin-brokers", Administering::brokers);
        features.put("http-service-url", Administering::httpServiceUrl);
    }

    private static void tenants(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        String tenant = "t" + System.nanoTime();
        admin.tenants().createTenant(tenant, TenantInfo.builder().adminRoles(Set.of("me"))
                .allowedClusters(Set.of("standalone")).build());
        that(admin.tenants().getTenants().contains(tenant), "the tenant is not listed");
        same(Set.of("me"), admin.tenants().getTenantInfo(tenant).getAdminRoles());
        String namespace = tenant + "/n";
        admin.namespaces().createNamespace(namespace);
        same(List.of(namespace), admin.namespaces().getNamespaces(tenant));
        admin.namespaces().setRetention(namespace, new RetentionPolicies(10, 20));
        same(20L, admin.namespaces().getRetention(namespace).getRetentionSizeInMB());
        admin.namespaces().setNamespaceMessageTTL(namespace, 30);
        same(30, admin.namespaces().getNamespaceMessageTTL(namespace));
        admin.namespaces().setBacklogQuota(namespace, BacklogQuota.builder().limitSize(1000)
                .retentionPolicy(BacklogQuota.RetentionPolicy.producer_exception).build());
        same(1000L, admin.namespaces().getBacklogQuotaMap(namespace)
                .get(BacklogQuota.BacklogQuotaType.destination_storage).getLimitSize());
        admin.namespaces().grantPermissionOnNamespace(namespace, "me", Set.of(AuthAction.consume));
        same(Map.of("me", Set.of(AuthAction.consume)), admin.namespaces().getPermissions(namespace));
        admin.namespaces().revokePermissionsOnNamespace(namespace, "me");
        same(Map.of(), admin.namespaces().getPermissions(namespace));
        admin.namespaces().setDeduplicationStatus(namespace, true);
        same(true, admin.namespaces().getDeduplicationStatus(namespace));
        that(admin.namespaces().getPolicies(namespace).deduplicationEnabled, "the policies lack de-duplication");
        try {
            admin.namespaces().createNamespace(namespace);
            that(false, "a namespace was created twice");
        } catch (PulsarAdminException.ConflictException expected) {
            // as it must be
        }
        admin.namespaces().deleteNamespace(namespace);
        admin.tenants().deleteTenant(tenant);
    }

    private static void permissions(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        String namespace = "public/p" + System.nanoTime();
        String topic = "persistent://" + namespace + "/t";
        admin.namespaces().createNamespace(namespace);
        admin.namespaces().grantPermissionOnNamespace(namespace, "all", Set.of(AuthAction.produce));
        admin.topics().createNonPartitionedTopic(topic);
        admin.topics().grantPermission(topic, "one", Set.of(AuthAction.consume));
        same(Map.of("all", Set.of(AuthAction.produce), "one", Set.of(AuthAction.consume)),
                admin.topics().getPermissions(topic));
        same(Set.of("all"), admin.namespaces().getPermissions(namespace).keySet());
        admin.topics().revokePermissions(topic, "one");
        same(Set.of("all"), admin.topics().getPermissions(topic).keySet());
        try {
            admin.topics().revokePermissions(topic, "one");
            that(false, "a permission was taken away twice");
        } catch (PulsarAdminException.PreconditionFailedException expected) {
            // as it must be
        }
        admin.namespaces().grantPermissionOnSubscription(namespace, "s", Set.of("one", "two"));
        same(Map.of("s", Set.of("one", "two")), admin.namespaces().getPermissionOnSubscription(namespace));
        admin.namespaces().revokePermissionOnSubscription(namespace, "s", "one");
        same(Map.of("s", Set.of("two")), admin.namespaces().getPermissionOnSubscription(namespace));
        same(Set.of("all"), admin.namespaces().getPermissions(namespace).keySet());
        admin.namespaces().setSubscriptionAuthMode(namespace, SubscriptionAuthMode.Prefix);
        same(SubscriptionAuthMode.Prefix, admin.namespaces().getSubscriptionAuthMode(namespace));
        same(Set.of("two"), admin.namespaces().getPolicies(namespace).auth_policies.getSubscriptionAuthentication().get("s"));
        admin.namespaces().deleteNamespace(namespace, true);
    }

    private static void topics(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        admin.topics().createNonPartitionedTopic(session.topic());
        admin.topics().createPartitionedTopic(session.topic() + "-p", 2);
        admin.topics().updatePartitionedTopic(session.topic() + "-p", 4);
        same(4, admin.topics().getPartitionedTopicMetadata(session.topic() + "-p").partitions);
        that(admin.topics().getList("public/default").contains(session.topic()), "the topic is not listed");
        that(admin.topics().getPartitionedTopicList("public/default").contains(session.topic() + "-p"), "nor the other");
        Consuming.send(session, 3, false);
        TopicStats stats = admin.topics().getStats(session.topic());
        same(3L, stats.getMsgInCounter());
        same(4, admin.topics().getPartitionedStats(session.topic() + "-p", true).getPartitions().size());
        same(3L, admin.topics().getInternalStats(session.topic()).numberOfEntries);
        that(admin.topics().getLastMessageId(session.topic()).toString().contains(":2:"), "the last id is wrong");
        admin.topics().triggerCompaction(session.topic());
        same(LongRunningProcessStatus.Status.SUCCESS, admin.topics().compactionStatus(session.topic()).status);
        admin.topics().unload(session.topic());
        admin.topics().delete(session.topic());
        admin.topics().deletePartitionedTopic(session.topic() + "-p");
        try {
            admin.topics().getStats(session.topic());
            that(false, "a deleted topic has stats");
        } catch (PulsarAdminException.NotFoundException expected) {
            // as it must be
        }
    }

    private static void subscriptions(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        String topic = session.topic();
        admin.topics().createNonPartitionedTopic(topic);
        admin.topics().createSubscription(topic, "s", MessageId.earliest);
        Consuming.send(session, 10, false);
        same(List.of("s"), admin.topics().getSubscriptions(topic));
        admin.topics().skipMessages(topic, "s", 4);
        same(6L, backlog(session));
        admin.topics().resetCursor(topic, "s", 0);
        same(10L, backlog(session));
        admin.topics().resetCursor(topic, "s", MessageId.latest);
        same(0L, backlog(session));
        admin.topics().resetCursor(topic, "s", MessageId.earliest);
        same(10L, backlog(session));
        admin.topics().expireMessages(topic, "s", 1000);
        same(10L, backlog(session));
        admin.topics().skipAllMessages(topic, "s");
        same(0L, backlog(session));
        try (var consumer = session.client().newConsumer(Schema.INT32).topic(topic).subscriptionName("s")
                .subscriptionType(SubscriptionType.Failover).consumerName("me").subscribe()) {
            var found = admin.topics().getStats(topic).getSubscriptions().get("s");
            same("me", found.getActiveConsumerName());
            same("Failover", found.getType());
            try {
                admin.topics().deleteSubscription(topic, "s");
                that(false, "a subscription in use was deleted");
            } catch (PulsarAdminException.PreconditionFailedException expected) {
                // as it must be
            }
        }
        admin.topics().deleteSubscription(topic, "s");
        same(List.of(), admin.topics().getSubscriptions(topic));
    }

    private static long backlog(Session session) throws Exception {
        return session.admin().topics().getStats(session.topic()).getSubscriptions().get("s").getMsgBacklog();
    }

    private static void messages(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        admin.topics().createNonPartitionedTopic(session.topic());
        admin.topics().createSubscription(session.topic(), "s", MessageId.earliest);
        Consuming.send(session, 5, false);
        List<Message<byte[]>> peeked = admin.topics().peekMessages(session.topic(), "s", 3);
        same(3, peeked.size());
        same(2, Schema.INT32.decode(peeked.get(2).getData()));
        same(0, Schema.INT32.decode(admin.topics().examineMessage(session.topic(), "earliest", 1).getData()));
        that(admin.topics().getMessageIdByTimestamp(session.topic(), 0) != null, "no id for a time");
        Consuming.send(session, 5, true);
        peeked = admin.topics().peekMessages(session.topic(), "s", 8);
        same(2, Schema.INT32.decode(peeked.get(7).getData()));
    }

    private static void schemas(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        SchemaInfo schema = Schema.AVRO(Producing.One.class).getSchemaInfo();
        admin.schemas().createSchema(session.topic(), schema);
        same(schema.getType(), admin.schemas().getSchemaInfo(session.topic()).getType());
        same(0L, admin.schemas().getVersionBySchema(session.topic(), schema(schema)));
        same(1, admin.schemas().getAllSchemas(session.topic()).size());
        that(admin.schemas().testCompatibility(session.topic(), schema(schema)).isCompatibility(), "not compatible");
        admin.schemas().deleteSchema(session.topic());
        try {
            admin.schemas().getSchemaInfo(session.topic());
            that(false, "a deleted schema is there");
        } catch (PulsarAdminException.NotFoundException expected) {
            // as it must be
        }
    }

    private static org.apache.pulsar.common.protocol.schema.PostSchemaPayload schema(SchemaInfo info) {
        return new org.apache.pulsar.common.protocol.schema.PostSchemaPayload(info.getType().name(),
                info.getSchemaDefinition(), info.getProperties());
    }

    private static void packages(Session session) throws Exception {
        String name = "function://public/default/p" + System.nanoTime() + "@v1";
        Path sent = Files.createTempFile("package", ".py");
        Path received = Files.createTempFile("package", ".py");
        try {
            Files.writeString(sent, "def process(input):\n    return input\n");
            var described = org.apache.pulsar.packages.management.core.common.PackageMetadata.builder()
                    .description("d").contact("c").build();
            session.admin().packages().upload(described, name, sent.toString());
            same("d", session.admin().packages().getMetadata(name).getDescription());
            session.admin().packages().download(name, received.toString());
            same(Files.readString(sent), Files.readString(received));
            same(List.of("v1"), session.admin().packages().listPackageVersions(name));
            that(!session.admin().packages().listPackages("function", "public/default").isEmpty(), "none is listed");
            session.admin().packages().delete(name);
        } finally {
            Files.delete(sent);
            Files.delete(received);
        }
    }

    private static void brokers(Session session) throws Exception {
        PulsarAdmin admin = session.admin();
        same(List.of("standalone"), admin.clusters().getClusters());
        that(admin.clusters().getCluster("standalone").getBrokerServiceUrl().startsWith("pulsar://"), "no service URL");
        same(1, admin.brokers().getActiveBrokers("standalone").size());
        admin.brokers().healthcheck();
        that(!admin.brokers().getVersion().isEmpty(), "no version");
        that(admin.lookups().lookupTopic(session.topic()).startsWith("pulsar://"), "no lookup");
    }

    private static void httpServiceUrl(Session session) throws Exception {
        try (var client = org.apache.pulsar.client.api.PulsarClient.builder()
                .serviceUrl(session.admin().getServiceUrl()).build()) {
            Consuming.send(new Session(client, session.admin(), session.serviceUrl(), session.topic()), 1, false);
        }
        same(1L, session.admin().topics().getStats(session.topic()).getMsgInCounter());
    }

    private Administering() { }
}
