package magnetar

import (
	"fmt"
	"sync"
	"time"

	"example.com/functions/magnetar/control"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const keptExceptions = 10

// counts are what is counted twice: since the start, and in the minute that runs.
type counts struct {
	received, processed, userExceptions, systemExceptions int64
	latencyMs                                             float64
}

func (c *counts) averageLatency() float64 {
	if c.processed == 0 {
		return 0
	}
	return c.latencyMs / float64(c.processed)
}

// figures are an instance's; all times are milliseconds.
type figures struct {
	mutex          sync.Mutex
	total, minute  counts
	lastInvocation int64
	user, system   []*control.FunctionStatus_ExceptionInformation
	running        bool
	instance       int
	userMetrics    *prometheus.SummaryVec
	userNames      map[string]bool
	labels         prometheus.Labels
}

func newFigures(c *conf) *figures {
	labels := prometheus.Labels{
		"tenant":      c.Tenant,
		"namespace":   c.Tenant + "/" + c.Namespace,
		"name":        c.Name,
		"instance_id": fmt.Sprint(c.InstanceID),
		"cluster":     c.ClusterName,
		"fqfn":        c.fqfn(),
	}
	return &figures{
		instance:  c.InstanceID,
		labels:    labels,
		userNames: map[string]bool{},
		userMetrics: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name:        "pulsar_function_user_metric",
			Help:        "Metrics of the user's.",
			Objectives:  map[float64]float64{0.5: 0.01, 0.9: 0.01, 0.99: 0.01, 0.999: 0.01},
			ConstLabels: labels,
		}, []string{"metric"}),
	}
}

func (f *figures) setRunning(running bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.running = running
}

// begin counts a message that was received and is about to be processed.
func (f *figures) begin(now time.Time) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.total.received++
	f.minute.received++
	f.lastInvocation = now.UnixMilli()
}

func (f *figures) succeed(took time.Duration) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, each := range []*counts{&f.total, &f.minute} {
		each.processed++
		each.latencyMs += float64(took) / float64(time.Millisecond)
	}
}

func (f *figures) failUser(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.total.userExceptions++
	f.minute.userExceptions++
	f.user = keep(f.user, err)
}

func (f *figures) failSystem(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.total.systemExceptions++
	f.minute.systemExceptions++
	f.system = keep(f.system, err)
}

func keep(kept []*control.FunctionStatus_ExceptionInformation, err error) []*control.FunctionStatus_ExceptionInformation {
	kept = append(kept, &control.FunctionStatus_ExceptionInformation{
		ExceptionString: err.Error(), MsSinceEpoch: time.Now().UnixMilli(),
	})
	return kept[max(0, len(kept)-keptExceptions):]
}

func (f *figures) recordMetric(name string, value float64) {
	f.userMetrics.WithLabelValues(name).Observe(value)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.userNames[name] = true
}

func (f *figures) resetMinute() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.minute = counts{}
}

func (f *figures) status() *control.FunctionStatus {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &control.FunctionStatus{
		Running:                  f.running,
		NumReceived:              f.total.received,
		NumSuccessfullyProcessed: f.total.processed,
		NumUserExceptions:        f.total.userExceptions,
		LatestUserExceptions:     f.user,
		NumSystemExceptions:      f.total.systemExceptions,
		LatestSystemExceptions:   f.system,
		AverageLatency:           f.total.averageLatency(),
		LastInvocationTime:       f.lastInvocation,
		InstanceId:               fmt.Sprint(f.instance),
	}
}

func (f *figures) metrics() *control.MetricsData {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &control.MetricsData{
		ReceivedTotal:                   f.total.received,
		ProcessedSuccessfullyTotal:      f.total.processed,
		UserExceptionsTotal:             f.total.userExceptions,
		SystemExceptionsTotal:           f.total.systemExceptions,
		AvgProcessLatency:               f.total.averageLatency(),
		LastInvocation:                  f.lastInvocation,
		ReceivedTotal_1Min:              f.minute.received,
		ProcessedSuccessfullyTotal_1Min: f.minute.processed,
		UserExceptionsTotal_1Min:        f.minute.userExceptions,
		SystemExceptionsTotal_1Min:      f.minute.systemExceptions,
		AvgProcessLatency_1Min:          f.minute.averageLatency(),
		UserMetrics:                     f.userFigures(),
	}
}

// userFigures names sums, counts and quantiles as Java's instances do.
func (f *figures) userFigures() map[string]float64 {
	found := map[string]float64{}
	for name := range f.userNames {
		summary, known := f.userMetrics.WithLabelValues(name).(prometheus.Metric)
		var data dto.Metric
		if !known || summary.Write(&data) != nil {
			continue
		}
		prefix := "user_metric_" + name
		found[prefix+"_sum"] = data.GetSummary().GetSampleSum()
		found[prefix+"_count"] = float64(data.GetSummary().GetSampleCount())
		for _, quantile := range data.GetSummary().GetQuantile() {
			found[fmt.Sprintf("%s_%g", prefix, quantile.GetQuantile())] = quantile.GetValue()
		}
	}
	return found
}
