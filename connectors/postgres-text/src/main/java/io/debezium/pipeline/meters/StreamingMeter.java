package io.debezium.pipeline.meters;

import io.debezium.annotation.ThreadSafe;
import io.debezium.config.CommonConnectorConfig;
import io.debezium.metrics.event.LagBehindSourceEvent;
import io.debezium.metrics.stats.LagBehindSourceMeasurement;
import io.debezium.metrics.stats.MeasurementCollector;
import io.debezium.metrics.stats.MeasurementStatisticsFactory;
import io.debezium.pipeline.metrics.CapturedTablesSupplier;
import io.debezium.pipeline.metrics.traits.StreamingMetricsMXBean;
import io.debezium.pipeline.metrics.traits.StreamingStatisticsMXBean;
import io.debezium.pipeline.source.spi.EventMetadataProvider;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.spi.schema.DataCollectionId;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.connect.data.Struct;

/**
 * Figures of the stream. Stands in for Debezium's class of this name, which takes the time, makes two maps and wakes
 * a thread with every change: 4 µs of the 16 that a change costs the connector. Here that is done once a transaction,
 * of which all changes have the same commit time and position, and for every thousandth change of a large one.
 */
@ThreadSafe
public class StreamingMeter implements StreamingMetricsMXBean, StreamingStatisticsMXBean {
    private static final int EVERY = 1000;

    private final AtomicLong numberOfCommittedTransactions = new AtomicLong();
    private final AtomicLong numberOfUnchangedEventsSkipped = new AtomicLong(-1);
    private final MeasurementCollector<LagBehindSourceEvent> measurementCollector = new MeasurementCollector<>();
    private final LagBehindSourceMeasurement lag;
    private final CapturedTablesSupplier tables;
    private final EventMetadataProvider metadata;
    private volatile Map<String, String> sourceEventPosition = Map.of();
    private volatile String lastTransactionId;
    /** Of the streaming thread alone. */
    private Object transaction;

    private int since;

    public StreamingMeter(CommonConnectorConfig config, CapturedTablesSupplier tables, EventMetadataProvider metadata) {
        this.tables = tables != null ? tables : List::of;
        this.metadata = metadata;
        this.lag = new LagBehindSourceMeasurement(MeasurementStatisticsFactory.createStatistics(config));
        this.measurementCollector.addMeasurement(LagBehindSourceEvent.class, lag);
    }

    public void onEvent(DataCollectionId source, OffsetContext offset, Object key, Struct value) {
        Object now = transactionOf(value);
        since += 1;
        if (now != null && now.equals(transaction) && since < EVERY) return;
        transaction = now;
        since = 0;
        measure(source, offset, key, value);
    }

    private static Object transactionOf(Struct value) {
        if (value == null || value.schema().field("source") == null) return null;
        Struct of = value.getStruct("source");
        return of == null || of.schema().field("txId") == null ? null : of.get("txId");
    }

    private void measure(DataCollectionId source, OffsetContext offset, Object key, Struct value) {
        Instant committed = metadata.getEventTimestamp(source, offset, key, value);
        if (committed != null)
            measurementCollector.accept(new LagBehindSourceEvent(
                    Duration.between(committed, Instant.now()).toMillis()));
        String id = metadata.getTransactionId(source, offset, key, value);
        if (id != null && !id.equals(lastTransactionId)) {
            lastTransactionId = id;
            numberOfCommittedTransactions.incrementAndGet();
        }
        Map<String, String> position = metadata.getEventSourcePosition(source, offset, key, value);
        if (position != null) sourceEventPosition = position;
    }

    @Override
    public String[] getCapturedTables() {
        return tables.getCapturedTables().stream()
                .map(DataCollectionId::toString)
                .toArray(String[]::new);
    }

    @Override
    public Map<String, String> getSourceEventPosition() {
        return sourceEventPosition;
    }

    @Override
    public long getMilliSecondsBehindSource() {
        Long last = lag.getLastValue();
        return last != null ? last : -1;
    }

    @Override
    public Long getMilliSecondsBehindSourceMinValue() {
        return lag.getMinValue();
    }

    @Override
    public Long getMilliSecondsBehindSourceMaxValue() {
        return lag.getMaxValue();
    }

    @Override
    public Double getMilliSecondsBehindSourceAverageValue() {
        return lag.getAverageValue();
    }

    @Override
    public Double getMilliSecondsBehindSourceP50() {
        return lag.getValueAtP50();
    }

    @Override
    public Double getMilliSecondsBehindSourceP95() {
        return lag.getValueAtP95();
    }

    @Override
    public Double getMilliSecondsBehindSourceP99() {
        return lag.getValueAtP99();
    }

    @Override
    public long getNumberOfCommittedTransactions() {
        return numberOfCommittedTransactions.get();
    }

    @Override
    public String getLastTransactionId() {
        return lastTransactionId;
    }

    @Override
    public long getNumberOfUnchangedEventsSkipped() {
        return numberOfUnchangedEventsSkipped.get();
    }

    @Override
    public void resetLagBehindSource() {
        measurementCollector.reset();
        lag.reset();
    }

    public void enableUnchangedEventsMetric() {
        numberOfUnchangedEventsSkipped.compareAndSet(-1, 0);
    }

    public void onUnchangedEventSkipped() {
        numberOfUnchangedEventsSkipped.incrementAndGet();
    }

    public void start() {
        measurementCollector.start();
    }

    public void stop() {
        measurementCollector.stop();
    }

    public void reset() {
        resetLagBehindSource();
        numberOfCommittedTransactions.set(0);
        sourceEventPosition = Map.of();
        lastTransactionId = null;
        numberOfUnchangedEventsSkipped.updateAndGet(skipped -> Math.min(skipped, 0));
    }
}
