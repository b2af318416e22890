package magnetar

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"example.com/functions/magnetar/control"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// collector turns figures into Pulsar's metrics (names of 4.x) when somebody asks.
type collector struct{ figures *figures }

// Describe says nothing: the exceptions' labels are known only later.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	f := c.figures
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for suffix, each := range map[string]*counts{"": &f.total, "_1min": &f.minute} {
		c.counter(out, "received"+suffix+"_total", "Messages received.", each.received)
		c.counter(out, "processed_successfully"+suffix+"_total", "Messages processed.", each.processed)
		c.counter(out, "user_exceptions"+suffix+"_total", "Errors of the function.", each.userExceptions)
		c.counter(out, "system_exceptions"+suffix+"_total", "Failures around it.", each.systemExceptions)
		desc := c.desc("process_latency_ms"+suffix, "Latency in ms.", nil)
		out <- prometheus.MustNewConstSummary(desc, uint64(each.processed), each.latencyMs, nil)
	}
	desc := c.desc("last_invocation", "When the function was called last, in ms.", nil)
	out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(f.lastInvocation))
	c.exceptions(out, "user_exception", f.user)
	c.exceptions(out, "system_exception", f.system)
}

func (c collector) exceptions(
	out chan<- prometheus.Metric, name string, kept []*control.FunctionStatus_ExceptionInformation,
) {
	told := map[string]bool{}
	for _, each := range kept {
		if !told[each.ExceptionString] {
			told[each.ExceptionString] = true
			desc := c.desc(name, "The last exceptions.", prometheus.Labels{"error": each.ExceptionString})
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1)
		}
	}
}

func (c collector) counter(out chan<- prometheus.Metric, name, help string, value int64) {
	out <- prometheus.MustNewConstMetric(c.desc(name, help, nil), prometheus.CounterValue, float64(value))
}

func (c collector) desc(name, help string, more prometheus.Labels) *prometheus.Desc {
	labels := prometheus.Labels{}
	for _, each := range []prometheus.Labels{c.figures.labels, more} {
		for key, value := range each {
			labels[key] = value
		}
	}
	return prometheus.NewDesc("pulsar_function_"+name, help, nil, labels)
}

// serveMetrics answers at / and /metrics, as Pulsar's instances do.
func serveMetrics(port int, f *figures) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{f}, f.userMetrics)
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return fmt.Errorf("the metrics port can't be served: %w", err)
	}
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return nil
}
