package broker;

import static broker.Check.same;
import static broker.Check.that;

import broker.Check.Feature;
import broker.Check.Session;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.Reader;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.TableView;

/** Readers, table views and compacted topics. */
final class Reading {
    private static final int WAIT = 10;

    static void addTo(Map<String, Feature> features) {
        features.put("reader", Reading::reader);
        features.put("reader-within-a-batch", Reading::withinBatch);
        features.put("reader-seek", Reading::seek);
        features.put("table-view", Reading::tableView);
        features.put("compacted-reader", Reading::compacted);
    }

    private static Reader<Integer> reader(Session session, MessageId start) throws Exception {
        return session.client().newReader(Schema.INT32).topic(session.topic()).startMessageId(start).create();
    }

    private static int next(Reader<Integer> reader) throws Exception {
        Message<Integer> message = reader.readNext(WAIT, TimeUnit.SECONDS);
        that(message != null, "no message came");
        return message.getValue();
    }

    private static void reader(Session session) throws Exception {
        Consuming.send(session, 10, false);
        MessageId middle = null;
        try (Reader<Integer> reader = reader(session, MessageId.earliest)) {
            for (int number = 0; number < 10; number++) {
                that(reader.hasMessageAvailable(), "nothing is available");
                Message<Integer> message = reader.readNext(WAIT, TimeUnit.SECONDS);
                same(number, message.getValue());
                middle = number == 4 ? message.getMessageId() : middle;
            }
            that(!reader.hasMessageAvailable(), "something is available at the end");
        }
        try (Reader<Integer> reader = reader(session, middle)) {
            same(5, next(reader));
        }
        try (Reader<Integer> reader = reader(session, MessageId.latest)) {
            that(!reader.hasMessageAvailable(), "something is available at the latest");
            Consuming.send(session, 1, false);
            same(0, next(reader));
        }
    }

    private static void withinBatch(Session session) throws Exception {
        Consuming.send(session, 10, true);
        MessageId middle = null;
        try (Reader<Integer> reader = reader(session, MessageId.earliest)) {
            for (int number = 0; number < 6; number++) {
                middle = reader.readNext(WAIT, TimeUnit.SECONDS).getMessageId();
            }
        }
        try (Reader<Integer> reader = reader(session, middle)) {
            same(6, next(reader));
        }
    }

    private static void seek(Session session) throws Exception {
        Consuming.send(session, 100, false);
        Thread.sleep(20);
        long between = System.currentTimeMillis();
        Thread.sleep(20);
        Consuming.send(session, 50, true);
        try (Reader<Integer> reader = reader(session, MessageId.earliest)) {
            MessageId tenth = null;
            for (int number = 0; number < 100; number++) {
                Message<Integer> message = reader.readNext(WAIT, TimeUnit.SECONDS);
                tenth = number == 10 ? message.getMessageId() : tenth;
            }
            reader.seek(MessageId.earliest);
            same(0, next(reader));
            reader.seek(tenth);
            same(11, next(reader));
            reader.seek(between);
            same(0, next(reader));
            same(1, next(reader));
        }
    }

    private static void produceKeys(Session session, boolean batched) throws Exception {
        try (Producer<Integer> producer = session.client().newProducer(Schema.INT32).topic(session.topic())
                .enableBatching(batched).create()) {
            for (int number = 0; number < 10; number++) {
                producer.newMessage().key("k" + number % 3).value(number).sendAsync();
            }
            producer.newMessage().key("k1").value(null).sendAsync();
            producer.flush();
        }
    }

    private static void tableView(Session session) throws Exception {
        produceKeys(session, true);
        try (TableView<Integer> view = session.client().newTableViewBuilder(Schema.INT32).topic(session.topic())
                .create()) {
            same(9, view.get("k0"));
            same(8, view.get("k2"));
            same(2, view.size());
        }
    }

    private static void compacted(Session session) throws Exception {
        for (boolean batched : new boolean[] {false, true}) {
            Session own = new Session(session.client(), session.admin(), session.serviceUrl(),
                    session.topic() + batched);
            produceKeys(own, batched);
            session.admin().topics().triggerCompaction(own.topic());
            same("SUCCESS", session.admin().topics().compactionStatus(own.topic()).status.toString());
            try (Reader<Integer> reader = session.client().newReader(Schema.INT32).topic(own.topic())
                    .startMessageId(MessageId.earliest).readCompacted(true).create()) {
                List<String> found = new ArrayList<>();
                while (reader.hasMessageAvailable()) {
                    Message<Integer> message = reader.readNext(WAIT, TimeUnit.SECONDS);
                    that(message != null, "hasMessageAvailable was wrong");
                    found.add(message.getKey() + "=" + message.getValue());
                }
                same(List.of("k2=8", "k0=9"), found);
            }
        }
    }

    private Reading() { }
}
