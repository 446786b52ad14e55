package io.debezium.pipeline.meters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import io.debezium.config.Configuration;
import io.debezium.connector.postgresql.PostgresConnectorConfig;
import io.debezium.data.Envelope.Operation;
import io.debezium.pipeline.source.spi.EventMetadataProvider;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.spi.schema.DataCollectionId;
import io.debezium.util.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.junit.jupiter.api.Test;

class MetersTest {
    private static final Schema SOURCE =
            SchemaBuilder.struct().field("txId", Schema.OPTIONAL_INT64_SCHEMA).build();
    private static final Schema CHANGE =
            SchemaBuilder.struct().field("source", SOURCE).build();

    /** What Debezium's own says of a change, and how often it was asked. */
    private static final class Metadata implements EventMetadataProvider {
        int asked = 0;

        @Override
        public Instant getEventTimestamp(DataCollectionId source, OffsetContext offset, Object key, Struct value) {
            asked += 1;
            return Instant.now().minusMillis(5000);
        }

        @Override
        public Map<String, String> getEventSourcePosition(
                DataCollectionId source, OffsetContext offset, Object key, Struct value) {
            return Map.of("lsn", getTransactionId(source, offset, key, value));
        }

        @Override
        public String getTransactionId(DataCollectionId source, OffsetContext offset, Object key, Struct value) {
            return String.valueOf(value.getStruct("source").getInt64("txId"));
        }
    }

    private static Struct change(long transaction) {
        return new Struct(CHANGE).put("source", new Struct(SOURCE).put("txId", transaction));
    }

    private static StreamingMeter streaming(Metadata metadata) {
        Configuration config = Configuration.create().with("topic.prefix", "t").build();
        return new StreamingMeter(new PostgresConnectorConfig(config), List::of, metadata);
    }

    @Test
    void figuresOfTheStreamAreThoseOfItsTransactions() {
        Metadata metadata = new Metadata();
        StreamingMeter meter = streaming(metadata);
        for (long transaction = 1; transaction <= 3; transaction++)
            for (int row = 0; row < 10; row++) meter.onEvent(null, null, null, change(transaction));
        assertEquals(3, meter.getNumberOfCommittedTransactions());
        assertEquals("3", meter.getLastTransactionId());
        assertEquals(Map.of("lsn", "3"), meter.getSourceEventPosition());
        assertEquals(3, metadata.asked);
        meter.reset();
        assertEquals(0, meter.getNumberOfCommittedTransactions());
    }

    @Test
    void aLargeTransactionIsMeasuredOnItsWay() {
        Metadata metadata = new Metadata();
        StreamingMeter meter = streaming(metadata);
        for (int row = 0; row < 5000; row++) meter.onEvent(null, null, null, change(7));
        assertEquals(1, meter.getNumberOfCommittedTransactions());
        assertEquals(5, metadata.asked);
    }

    @Test
    void everyChangeIsCounted() {
        CommonEventMeter meter = new CommonEventMeter(Clock.SYSTEM, new Metadata());
        assertEquals(-1, meter.getMilliSecondsSinceLastEvent());
        for (int row = 0; row < 1500; row++) meter.onEvent(null, null, "k", change(row), Operation.CREATE);
        meter.onEvent(null, null, "k", change(1), Operation.UPDATE);
        meter.onEvent(null, null, "k", change(1), Operation.DELETE);
        meter.onFilteredEvent(Operation.UPDATE);
        meter.onErroneousEvent();
        assertEquals(1504, meter.getTotalNumberOfEventsSeen());
        assertEquals(1500, meter.getTotalNumberOfCreateEventsSeen());
        assertEquals(2, meter.getTotalNumberOfUpdateEventsSeen());
        assertEquals(1, meter.getTotalNumberOfDeleteEventsSeen());
        assertEquals(1, meter.getNumberOfEventsFiltered());
        assertEquals(1, meter.getNumberOfErroneousEvents());
        assertNotNull(meter.getLastEvent());
        meter.reset();
        assertEquals(0, meter.getTotalNumberOfEventsSeen());
    }
}
