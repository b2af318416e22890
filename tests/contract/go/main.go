// Calls every method of pulsaradmin that concerns functions and prints what came back, one JSON object a line.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/pulsar-client-go/pulsaradmin"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/admin/config"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/rest"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/utils"
)

const tenant, namespace = "public", "default"

type line struct {
	Call   string `json:"call"`
	Result any    `json:"result"`
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func tell(call string, result any, err error) {
	told := line{Call: call, Result: result}
	var refused rest.Error
	switch {
	case errors.As(err, &refused):
		told.Status, told.Reason = refused.Code, refused.Reason
	case err != nil:
		told.Reason = err.Error()
	}
	text, err := json.Marshal(told)
	if err != nil {
		text = fmt.Appendf(nil, `{"call": %q, "reason": %q}`, call, err)
	}
	fmt.Println(string(text))
}

func until(found func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !found(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "waited in vain")
			os.Exit(1)
		}
	}
}

func main() {
	url, name, code := os.Args[1], os.Args[2], os.Args[3]
	known := pulsaradmin.Config{
		WebServiceURL: url, Token: os.Getenv("TOKEN"), TLSTrustCertsFilePath: os.Getenv("AUTHORITY"),
		TLSEnableHostnameVerification: true,
	}
	third := known
	third.PulsarAPIVersion = config.V3
	v3, err := pulsaradmin.NewClient(&third)
	if err != nil {
		panic(err)
	}
	v2, err := pulsaradmin.NewClient(&known)
	if err != nil {
		panic(err)
	}
	changes(v3, name, code)
	// An update may still replace one instance after the other: what states starts anew is of the new version.
	states(v3, name)
	reports(v3, name)
	packages(v3, name, code)
	worker(v2)
	functions := v3.Functions()
	tell("DeleteFunction", nil, functions.DeleteFunction(tenant, namespace, name))
	tell("DeleteFunction again", nil, functions.DeleteFunction(tenant, namespace, name))
	tell("DeleteFunction by URL", nil, functions.DeleteFunction(tenant, namespace, name+"-by-url"))
	names, err := functions.GetFunctions(tenant, namespace)
	tell("GetFunctions at the end", names, err)
}

func functionConfig(name, code string) *utils.FunctionConfig {
	auto, position, cleanup, forward := true, "Earliest", true, true
	return &utils.FunctionConfig{
		Tenant: tenant, Namespace: namespace, Name: name, ClassName: "exclaim", Py: &code, Inputs: []string{name + "-in"},
		Output: name + "-out", Parallelism: 1, AutoAck: auto, SubscriptionPosition: position, CleanupSubscription: cleanup,
		ForwardSourceMessageProperty: forward, UserConfig: map[string]any{"number": 5, "text": "x"},
	}
}

func running(admin pulsaradmin.Client, name string, count int) func() bool {
	return func() bool {
		status, err := admin.Functions().GetFunctionStatus(tenant, namespace, name)
		return err == nil && status.NumRunning == count
	}
}

func changes(admin pulsaradmin.Client, name, code string) {
	functions := admin.Functions()
	tell("CreateFunc", nil, functions.CreateFunc(functionConfig(name, code), code))
	tell("CreateFunc again", nil, functions.CreateFunc(functionConfig(name, code), code))
	names, err := functions.GetFunctions(tenant, namespace)
	tell("GetFunctions", names, err)
	found, err := functions.GetFunction(tenant, namespace, name)
	tell("GetFunction", found, err)
	_, err = functions.GetFunction(tenant, namespace, "absent")
	tell("GetFunction absent", nil, err)
	until(running(admin, name, 1))
	tell("UpdateFunction without change", nil, functions.UpdateFunction(&found, "", utils.NewUpdateOptions()))
	found.Parallelism = 2
	tell("UpdateFunction", nil, functions.UpdateFunction(&found, "", utils.NewUpdateOptions()))
	tell("UpdateFunction with code", nil, functions.UpdateFunction(&found, code, utils.NewUpdateOptions()))
	found, err = functions.GetFunction(tenant, namespace, name)
	tell("GetFunction after update", found, err)
	until(running(admin, name, 2))
}

func reports(admin pulsaradmin.Client, name string) {
	functions := admin.Functions()
	// The library throws the output of a trigger away.
	_, err := functions.TriggerFunction(tenant, namespace, name, "", "hello", "")
	tell("TriggerFunction", nil, err)
	message := filepath.Join(os.TempDir(), name+"-message.txt")
	if err := os.WriteFile(message, []byte("from a file"), 0o600); err != nil {
		panic(err)
	}
	defer os.Remove(message)
	_, err = functions.TriggerFunction(tenant, namespace, name, "", "", message)
	tell("TriggerFunction by file", nil, err)
	status, err := functions.GetFunctionStatus(tenant, namespace, name)
	tell("GetFunctionStatus", status, err)
	one, err := functions.GetFunctionStatusWithInstanceID(tenant, namespace, name, 1)
	tell("GetFunctionStatusWithInstanceID", one, err)
	_, err = functions.GetFunctionStatusWithInstanceID(tenant, namespace, name, 9)
	tell("GetFunctionStatusWithInstanceID beyond", nil, err)
	stats, err := functions.GetFunctionStats(tenant, namespace, name)
	tell("GetFunctionStats", stats, err)
	figures, err := functions.GetFunctionStatsWithInstanceID(tenant, namespace, name, 0)
	tell("GetFunctionStatsWithInstanceID", figures, err)
	_, err = functions.GetFunctionState(tenant, namespace, name, "key")
	tell("GetFunctionState", nil, err)
	tell("PutFunctionState", nil, functions.PutFunctionState(tenant, namespace, name, utils.FunctionState{Key: "key", StringValue: "x"}))
}

func states(admin pulsaradmin.Client, name string) {
	functions := admin.Functions()
	tell("StopFunctionWithID", nil, functions.StopFunctionWithID(tenant, namespace, name, 1))
	tell("StopFunctionWithID again", nil, functions.StopFunctionWithID(tenant, namespace, name, 1))
	tell("StartFunctionWithID", nil, functions.StartFunctionWithID(tenant, namespace, name, 1))
	tell("StopFunction", nil, functions.StopFunction(tenant, namespace, name))
	until(running(admin, name, 0))
	tell("StartFunction", nil, functions.StartFunction(tenant, namespace, name))
	until(running(admin, name, 2))
	tell("RestartFunctionWithID", nil, functions.RestartFunctionWithID(tenant, namespace, name, 0))
	tell("RestartFunction", nil, functions.RestartFunction(tenant, namespace, name))
	until(running(admin, name, 2))
}

func packages(admin pulsaradmin.Client, name, code string) {
	functions := admin.Functions()
	directory, err := os.MkdirTemp("", "packages")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	target := filepath.Join(directory, "code.py")
	err = functions.DownloadFunctionByNs(target, tenant, namespace, name)
	tell("DownloadFunctionByNs", read(target), err)
	path := "public/default/" + name + "-path/code.py"
	tell("Upload", nil, functions.Upload(code, path))
	err = functions.DownloadFunction(path, target)
	tell("DownloadFunction", read(target), err)
	url := "function://public/default/" + name + "-package@v1"
	tell("Upload by URL", nil, functions.Upload(code, url))
	byURL := functionConfig(name+"-by-url", url)
	tell("CreateFuncWithURL", nil, functions.CreateFuncWithURL(byURL, url))
	byURL.Parallelism = 2
	tell("UpdateFunctionWithURL", nil, functions.UpdateFunctionWithURL(byURL, url, utils.NewUpdateOptions()))
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func worker(admin pulsaradmin.Client) {
	workers := admin.FunctionsWorker()
	cluster, err := workers.GetCluster()
	tell("GetCluster", cluster, err)
	leader, err := workers.GetClusterLeader()
	tell("GetClusterLeader", leader, err)
	assignments, err := workers.GetAssignments()
	tell("GetAssignments", assignments, err)
	stats, err := workers.GetFunctionsStats()
	tell("GetFunctionsStats", stats, err)
	metrics, err := workers.GetMetrics()
	tell("GetMetrics", metrics, err)
}
