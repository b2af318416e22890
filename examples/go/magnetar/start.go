package magnetar

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// badConfiguration is the exit code that tells a supervisor: another start would end the same way (EX_CONFIG).
const badConfiguration = 78

// Start runs the function until the process is asked to end. It takes a function of any of these forms and less:
//
//	func(context.Context, []byte) ([]byte, error)
//
// It does not return when the instance can't run.
func Start(function any) {
	h, err := handlerOf(function)
	if err != nil {
		fail(badConfiguration, err)
	}
	text := flag.String("instance-conf", "", "the configuration that a functions worker gives")
	flag.Parse()
	if *text == "" {
		fail(badConfiguration, fmt.Errorf("this is a Pulsar function: a functions worker starts it, with -instance-conf"))
	}
	c, err := readConf(*text)
	if err != nil {
		fail(badConfiguration, err)
	}
	if err := run(c, h); err != nil {
		fail(1, err)
	}
}

func fail(code int, err error) {
	fmt.Fprintf(os.Stderr, "%v\n", err)
	os.Exit(code)
}

// run serves gRPC and metrics first, so that a worker hears of an instance that can't reach its broker.
func run(c *conf, h handler) error {
	logs := newLogTarget(c)
	logger := logs.logger()
	slog.SetDefault(logger)
	f := newFigures(c)
	s, err := serve(c.Port, f)
	if err != nil {
		return err
	}
	if c.MetricsPort > 0 {
		if err := serveMetrics(c.MetricsPort, f); err != nil {
			return err
		}
	}
	stop := newStopping()
	go stop.atSignal(logger)
	go everyMinute(f)
	if c.watchdog() > 0 {
		go watch(s, c, logger, stop)
	}
	i, err := connected(stop, func() (*instance, error) { return newInstance(stop.ending, c, h, f, logs) })
	if i == nil {
		return err
	}
	s.setRunning(true)
	logger.Info("the instance is subscribed and running", "function", c.fqfn(), "instance", c.InstanceID)
	i.run(stop.asked)
	stop.ask()
	s.setRunning(false)
	end(i, logs, logger)
	return nil
}

// connected returns what connect does, and nothing at all when the end is asked for before: there is nothing to finish.
func connected(stop *stopping, connect func() (*instance, error)) (*instance, error) {
	type answer struct {
		instance *instance
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		made, err := connect()
		if err != nil {
			made = nil
		}
		answers <- answer{made, err}
	}()
	select {
	case <-stop.asked:
		return nil, nil
	case got := <-answers:
		return got.instance, got.err
	}
}

// end finishes what is in flight, then leaves the topics: all that is bounded, for a broker may never answer.
func end(i *instance, logs *logTarget, logger *slog.Logger) {
	i.finish()
	left := make(chan struct{})
	go func() {
		defer close(left)
		i.close()
		logger.Info("the instance ended as it was asked to")
		logs.close()
		i.client.Close()
	}()
	select {
	case <-left:
	case <-time.After(leavePatience):
		logs.detach()
		logger.Warn("the instance ended without the broker's answer")
	}
}

func everyMinute(f *figures) {
	for range time.Tick(time.Minute) {
		f.resetMinute()
	}
}

// watch ends the instance when its worker is gone: after three intervals without a health check.
func watch(s *server, c *conf, logger *slog.Logger, stop *stopping) {
	for range time.Tick(time.Duration(c.HealthCheckInterval) * time.Second) {
		if s.silence() > c.watchdog() {
			logger.Error("no worker has asked for health: the instance ends", "seconds", int(s.silence().Seconds()))
			stop.ask()
			return
		}
	}
}
