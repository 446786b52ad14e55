package io.debezium.pipeline.meters;

import io.debezium.annotation.ThreadSafe;
import io.debezium.data.Envelope.Operation;
import io.debezium.pipeline.metrics.traits.CommonEventMetricsMXBean;
import io.debezium.pipeline.source.spi.EventMetadataProvider;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.spi.schema.DataCollectionId;
import io.debezium.util.Clock;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.connect.data.Struct;

/**
 * Counts of changes. Stands in for Debezium's class of this name, which makes a text of every change in case
 * somebody asks for the last one: here it is one of the last thousand.
 */
@ThreadSafe
public class CommonEventMeter implements CommonEventMetricsMXBean {
    private static final int EVERY = 1000;

    private final AtomicLong seen = new AtomicLong();
    private final Map<Operation, AtomicLong> byOperation = new EnumMap<>(Operation.class);
    private final AtomicLong filtered = new AtomicLong();
    private final AtomicLong erroneous = new AtomicLong();
    private final Clock clock;
    private final EventMetadataProvider metadata;
    private volatile long lastEventTimestamp = -1;
    private volatile String lastEvent;

    public CommonEventMeter(Clock clock, EventMetadataProvider metadata) {
        this.clock = clock;
        this.metadata = metadata;
        for (Operation operation : Operation.values()) byOperation.put(operation, new AtomicLong());
    }

    public void onEvent(DataCollectionId source, OffsetContext offset, Object key, Struct value, Operation operation) {
        long number = count(operation);
        if (number % EVERY == 1 || lastEvent == null) lastEvent = metadata.toSummaryString(source, offset, key, value);
    }

    private long count(Operation operation) {
        lastEventTimestamp = clock.currentTimeInMillis();
        if (operation != null) byOperation.get(operation).incrementAndGet();
        return seen.incrementAndGet();
    }

    public void onFilteredEvent() {
        onFilteredEvent(null);
    }

    public void onFilteredEvent(Operation operation) {
        filtered.incrementAndGet();
        count(operation);
    }

    public void onErroneousEvent() {
        onErroneousEvent(null);
    }

    public void onErroneousEvent(Operation operation) {
        erroneous.incrementAndGet();
        count(operation);
    }

    @Override
    public String getLastEvent() {
        return lastEvent;
    }

    @Override
    public long getMilliSecondsSinceLastEvent() {
        long last = lastEventTimestamp;
        return last == -1 ? -1 : clock.currentTimeInMillis() - last;
    }

    @Override
    public long getTotalNumberOfEventsSeen() {
        return seen.get();
    }

    @Override
    public long getTotalNumberOfReadEventsSeen() {
        return byOperation.get(Operation.READ).get();
    }

    @Override
    public long getTotalNumberOfCreateEventsSeen() {
        return byOperation.get(Operation.CREATE).get();
    }

    @Override
    public long getTotalNumberOfUpdateEventsSeen() {
        return byOperation.get(Operation.UPDATE).get();
    }

    @Override
    public long getTotalNumberOfDeleteEventsSeen() {
        return byOperation.get(Operation.DELETE).get();
    }

    @Override
    public long getNumberOfEventsFiltered() {
        return filtered.get();
    }

    @Override
    public long getNumberOfErroneousEvents() {
        return erroneous.get();
    }

    public void reset() {
        seen.set(0);
        byOperation.values().forEach(count -> count.set(0));
        filtered.set(0);
        erroneous.set(0);
        lastEventTimestamp = -1;
        lastEvent = null;
    }
}
