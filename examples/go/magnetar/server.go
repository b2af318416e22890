package magnetar

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"example.com/functions/magnetar/control"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"
)

// server answers Pulsar's InstanceControl and grpc.health.v1.
type server struct {
	figures   *figures
	health    *health.Server
	lastCheck atomic.Int64
}

func serve(port int, f *figures) (*server, error) {
	s := &server{figures: f, health: health.NewServer()}
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	s.lastCheck.Store(time.Now().UnixNano())
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, fmt.Errorf("the gRPC port can't be served: %w", err)
	}
	grpcServer := grpc.NewServer()
	grpcServer.RegisterService(&instanceControl, s)
	healthpb.RegisterHealthServer(grpcServer, s.health)
	go func() { _ = grpcServer.Serve(listener) }()
	return s, nil
}

func (s *server) setRunning(running bool) {
	s.figures.setRunning(running)
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if running {
		status = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
}

// silence is how long ago the worker asked for health.
func (s *server) silence() time.Duration {
	return time.Since(time.Unix(0, s.lastCheck.Load()))
}

// instanceControl is the service proto.InstanceControl: five calls that take nothing.
var instanceControl = grpc.ServiceDesc{
	ServiceName: "proto.InstanceControl",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		method("GetFunctionStatus", func(s *server) any { return s.figures.status() }),
		method("GetMetrics", func(s *server) any { return s.figures.metrics() }),
		method("GetAndResetMetrics", func(s *server) any {
			defer s.figures.resetMinute()
			return s.figures.metrics()
		}),
		method("ResetMetrics", func(s *server) any {
			s.figures.resetMinute()
			return &emptypb.Empty{}
		}),
		method("HealthCheck", func(s *server) any {
			s.lastCheck.Store(time.Now().UnixNano())
			return &control.HealthCheckResult{Success: true}
		}),
	},
}

func method(name string, answer func(*server) any) grpc.MethodDesc {
	handle := func(s any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if err := decode(&emptypb.Empty{}); err != nil {
			return nil, err
		}
		return answer(s.(*server)), nil
	}
	return grpc.MethodDesc{MethodName: name, Handler: handle}
}
