package magnetar

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
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
	stop := stopSignal(logger)
	go everyMinute(f)
	if c.watchdog() > 0 {
		go watch(s, c, logger, stop)
	}
	i, err := newInstance(c, h, f, logs)
	if err != nil {
		return err
	}
	s.setRunning(true)
	logger.Info("the instance is subscribed and running", "function", c.fqfn(), "instance", c.InstanceID)
	i.run(stop.asked)
	s.setRunning(false)
	i.close()
	logger.Info("the instance ended as it was asked to")
	logs.close()
	i.client.Close()
	return nil
}

// stopping is asked once, by a signal or by the watchdog.
type stopping struct {
	asked chan struct{}
	once  sync.Once
}

func (s *stopping) ask() { s.once.Do(func() { close(s.asked) }) }

// stopSignal asks for the end at the first SIGTERM or SIGINT; the second one ends the process at once.
func stopSignal(logger *slog.Logger) *stopping {
	stop := &stopping{asked: make(chan struct{})}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		logger.Info("the instance finishes what is in flight", "signal", (<-signals).String())
		stop.ask()
		<-signals
		os.Exit(1)
	}()
	return stop
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
