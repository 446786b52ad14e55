package io.debezium.pipeline.source.snapshot.incremental;

import io.debezium.relational.TableId;
import java.util.Map;

/**
 * What Debezium keeps in its offsets of the tables that it reads beside the stream. Stands in for
 * Debezium's class of this name, which keeps their names without quotes and reads them back at every
 * commit of offsets: with a space or a dot in a name the connector failed a second after it had begun.
 */
public class SignalBasedIncrementalSnapshotContext<T> extends AbstractIncrementalSnapshotContext<T> {
    public SignalBasedIncrementalSnapshotContext() {
        this(true);
    }

    public SignalBasedIncrementalSnapshotContext(boolean useCatalogBeforeSchema) {
        super(useCatalogBeforeSchema);
    }

    public static <U> IncrementalSnapshotContext<U> load(Map<String, ?> offsets) {
        return load(offsets, true);
    }

    public static <U> SignalBasedIncrementalSnapshotContext<U> load(
            Map<String, ?> offsets, boolean useCatalogBeforeSchema) {
        SignalBasedIncrementalSnapshotContext<U> context =
                new SignalBasedIncrementalSnapshotContext<>(useCatalogBeforeSchema);
        init(context, offsets);
        return context;
    }

    @Override
    public TableId getPredicateBasedTableIdForId(TableId id) {
        return id.toDoubleQuoted();
    }
}
