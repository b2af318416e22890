package magnetar

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// An instance that was asked to end has drainPatience to finish what is in flight, and then leavePatience to close its
// consumers and producers: together less than the ten seconds after which a worker kills it.
const (
	drainPatience = 5 * time.Second
	leavePatience = 3 * time.Second
)

// stopping is asked once, by a signal or by the watchdog. ending is done drainPatience later: then nobody waits any more.
type stopping struct {
	asked  chan struct{}
	ending context.Context
	cancel context.CancelFunc
	once   sync.Once
}

func newStopping() *stopping {
	ending, cancel := context.WithCancel(context.Background())
	return &stopping{asked: make(chan struct{}), ending: ending, cancel: cancel}
}

func (s *stopping) ask() {
	s.once.Do(func() {
		close(s.asked)
		time.AfterFunc(drainPatience, s.cancel)
	})
}

// atSignal asks for the end at the first SIGTERM or SIGINT; the second one ends the process at once.
func (s *stopping) atSignal(logger *slog.Logger) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	received := <-signals
	s.ask()
	logger.Info("the instance finishes what is in flight", "signal", received.String())
	<-signals
	os.Exit(1)
}
