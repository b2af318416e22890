package magnetar

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// conf is what the worker says on the command line: the JSON document of Pulsar 2.8 to 4.x. Where functionDetails is
// there (4.x), it holds the function; else the flat keys do.
type conf struct {
	ServiceURL          string            `json:"pulsarServiceURL"`
	WebServiceURL       string            `json:"pulsarWebServiceUrl"`
	InstanceID          int               `json:"instanceID"`
	FuncID              string            `json:"funcID"`
	FuncVersion         string            `json:"funcVersion"`
	Port                int               `json:"port"`
	MetricsPort         int               `json:"metricsPort"`
	ClusterName         string            `json:"clusterName"`
	KillAfterIdleMs     int64             `json:"killAfterIdleMs"`
	HealthCheckInterval int64             `json:"expectedHealthCheckInterval"`
	Tenant              string            `json:"tenant"`
	Namespace           string            `json:"nameSpace"`
	Name                string            `json:"name"`
	LogTopic            string            `json:"logTopic"`
	Guarantees          int               `json:"processingGuarantees"`
	SecretsMap          string            `json:"secretsMap"`
	UserConfig          string            `json:"userConfig"`
	AutoAck             bool              `json:"autoAck"`
	SubscriptionType    int               `json:"subscriptionType"`
	TimeoutMs           int64             `json:"timeoutMs"`
	SubscriptionName    string            `json:"subscriptionName"`
	Position            int               `json:"subscriptionPosition"`
	SourceInputSpecs    map[string]string `json:"sourceInputSpecs"`
	SourceTopic         string            `json:"sourceSpecsTopic"`
	SourceIsPattern     bool              `json:"isRegexPatternSubscription"`
	SinkTopic           string            `json:"sinkSpecsTopic"`
	AuthPlugin          string            `json:"clientAuthenticationPlugin"`
	AuthParameters      string            `json:"clientAuthenticationParameters"`
	TLSTrustCerts       string            `json:"tlsTrustCertsFilePath"`
	TLSVerifyHostname   bool              `json:"tlsHostnameVerificationEnable"`
	TLSAllowInsecure    bool              `json:"tlsAllowInsecureConnection"`
	FunctionDetails     string            `json:"functionDetails"`

	function details
}

// details is the part of FunctionDetails that this package reads; 64-bit numbers are strings in protobuf's JSON.
type details struct {
	Guarantees string `json:"processingGuarantees"`
	AutoAck    bool   `json:"autoAck"`
	UserConfig string `json:"userConfig"`
	SecretsMap string `json:"secretsMap"`
	LogTopic   string `json:"logTopic"`
	Source     source `json:"source"`
	Sink       sink   `json:"sink"`
	Retry      *struct {
		MaxRetries int    `json:"maxMessageRetries"`
		DeadLetter string `json:"deadLetterTopic"`
	} `json:"retryDetails"`
}

type source struct {
	SubscriptionType  string              `json:"subscriptionType"`
	SubscriptionName  string              `json:"subscriptionName"`
	Position          string              `json:"subscriptionPosition"`
	TimeoutMs         int64               `json:"timeoutMs,string"`
	NackDelayMs       int64               `json:"negativeAckRedeliveryDelayMs,string"`
	InputSpecs        map[string]consumer `json:"inputSpecs"`
	TopicsToSerdeName map[string]string   `json:"topicsToSerDeClassName"`
	SkipToLatest      bool                `json:"skipToLatest"`
}

type consumer struct {
	SchemaType string `json:"schemaType"`
	SerdeClass string `json:"serdeClassName"`
	IsPattern  bool   `json:"isRegexPattern"`
	QueueSize  *struct {
		Value int `json:"value"`
	} `json:"receiverQueueSize"`
	Crypto json.RawMessage `json:"cryptoSpec"`
}

type sink struct {
	Topic            string    `json:"topic"`
	SchemaType       string    `json:"schemaType"`
	SerdeClass       string    `json:"serDeClassName"`
	ForwardProperty  bool      `json:"forwardSourceMessageProperty"`
	ProducerSettings *producer `json:"producerSpec"`
}

type producer struct {
	MaxPending   int             `json:"maxPendingMessages"`
	BatchBuilder string          `json:"batchBuilder"`
	Compression  string          `json:"compressionType"`
	Crypto       json.RawMessage `json:"cryptoSpec"`
	Batching     *struct {
		Enabled      bool   `json:"enabled"`
		MaxDelayMs   int    `json:"batchingMaxPublishDelayMs"`
		MaxMessages  int    `json:"batchingMaxMessages"`
		MaxBytes     int    `json:"batchingMaxBytes"`
		BatchBuilder string `json:"batchBuilder"`
	} `json:"batchingSpec"`
}

const (
	atLeastOnce = "ATLEAST_ONCE"
	atMostOnce  = "ATMOST_ONCE"
	manual      = "MANUAL"
)

// readConf returns the configuration with everything of the function in its `function`.
func readConf(text string) (*conf, error) {
	c := &conf{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("-instance-conf is not what a functions worker sends: %w", err)
	}
	if c.FunctionDetails == "" {
		c.function = c.flatDetails()
	} else if err := json.Unmarshal([]byte(c.FunctionDetails), &c.function); err != nil {
		return nil, fmt.Errorf("-instance-conf: functionDetails can't be read: %w", err)
	}
	if c.function.Guarantees == "" {
		c.function.Guarantees = atLeastOnce
	}
	return c, c.refuse()
}

// flatDetails reads the keys of workers before Pulsar 3.3.
func (c *conf) flatDetails() details {
	inputs := map[string]consumer{}
	for topic, text := range c.SourceInputSpecs {
		var spec consumer
		if json.Unmarshal([]byte(text), &spec) == nil {
			inputs[topic] = spec
		}
	}
	if len(inputs) == 0 && c.SourceTopic != "" {
		inputs[c.SourceTopic] = consumer{IsPattern: c.SourceIsPattern}
	}
	return details{
		Guarantees: pick(c.Guarantees, atLeastOnce, atMostOnce, "EFFECTIVELY_ONCE", manual),
		AutoAck:    c.AutoAck,
		UserConfig: c.UserConfig,
		SecretsMap: c.SecretsMap,
		LogTopic:   c.LogTopic,
		Source: source{
			SubscriptionType: pick(c.SubscriptionType, "SHARED", "FAILOVER", "KEY_SHARED"),
			SubscriptionName: c.SubscriptionName,
			Position:         pick(c.Position, "LATEST", "EARLIEST"),
			TimeoutMs:        c.TimeoutMs,
			InputSpecs:       inputs,
		},
		Sink: sink{Topic: c.SinkTopic},
	}
}

func pick(number int, names ...string) string {
	if number < 0 || number >= len(names) {
		return names[0]
	}
	return names[number]
}

// refuse names what this package does not do, rather than to leave it out in silence.
func (c *conf) refuse() error {
	f := &c.function
	var refusals []error
	no := func(what string) { refusals = append(refusals, fmt.Errorf("%s is not for Go functions", what)) }
	if f.Guarantees != atLeastOnce && f.Guarantees != atMostOnce && f.Guarantees != manual {
		no("processingGuarantees " + f.Guarantees)
	}
	if len(f.Source.InputSpecs) == 0 {
		refusals = append(refusals, errors.New("the function has no input topic"))
	}
	if f.Source.SkipToLatest {
		no("skipToLatest")
	}
	for topic, spec := range f.Source.InputSpecs {
		if spec.SchemaType != "" && spec.SchemaType != "bytes" || spec.SerdeClass != "" {
			no("a schema or serde of the input " + topic)
		}
		if spec.Crypto != nil {
			no("encryption of the input " + topic)
		}
	}
	if f.Sink.SchemaType != "" && f.Sink.SchemaType != "bytes" || f.Sink.SerdeClass != "" {
		no("a schema or serde of the output")
	}
	if f.Sink.ProducerSettings != nil && f.Sink.ProducerSettings.Crypto != nil {
		no("encryption of the output")
	}
	return errors.Join(refusals...)
}

func (c *conf) fqfn() string {
	return c.Tenant + "/" + c.Namespace + "/" + c.Name
}

func (c *conf) subscription() string {
	if name := c.function.Source.SubscriptionName; name != "" {
		return name
	}
	return c.fqfn()
}

// watchdog is how long the instance goes on without a health check of its worker; 0 is for ever.
func (c *conf) watchdog() time.Duration {
	return 3 * time.Duration(c.HealthCheckInterval) * time.Second
}

func (c *conf) properties() map[string]string {
	return map[string]string{
		"application": "pulsar-function",
		"id":          c.fqfn(),
		"instance_id": fmt.Sprint(c.InstanceID),
	}
}

func jsonMap(text string) map[string]any {
	found := map[string]any{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			return map[string]any{}
		}
	}
	return found
}
