package io.debezium.pipeline.source.snapshot.incremental;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.debezium.relational.TableId;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SignalBasedIncrementalSnapshotContextTest {
    @ParameterizedTest
    @CsvSource({"public,orders", "public,Order Lines", "my.app,a.b", "public,größe", "Public,Orders"})
    void aNameComesBackFromTheOffsetsAsItWas(String schema, String table) {
        TableId id = new TableId("", schema, table);
        var context = new SignalBasedIncrementalSnapshotContext<TableId>(false);
        context.addDataCollectionNamesToSnapshot("1", List.of(id.toDoubleQuotedString()), List.of(), "");

        // Twice, since every commit of offsets reads what the one before wrote.
        for (int commit = 0; commit < 2; commit += 1) {
            Map<String, Object> offsets = context.store(new HashMap<>());
            context = SignalBasedIncrementalSnapshotContext.load(offsets, false);
            TableId read = context.currentDataCollectionId().getId();
            assertEquals(schema, read.schema());
            assertEquals(table, read.table());
        }
    }

    @Test
    void severalTablesComeBackInTheirOrder() {
        var context = new SignalBasedIncrementalSnapshotContext<TableId>(false);
        context.addDataCollectionNamesToSnapshot("1", List.of("\"a\".\"x y\"", "\"a\".\"z.z\""), List.of(), "");
        var loaded = SignalBasedIncrementalSnapshotContext.<TableId>load(context.store(new HashMap<>()), false);
        assertEquals(
                List.of("x y", "z.z"),
                loaded.getDataCollections().stream()
                        .map(one -> one.getId().table())
                        .toList());
    }

    @Test
    void withoutAReadingThereIsNone() {
        assertFalse(SignalBasedIncrementalSnapshotContext.load(Map.of()).snapshotRunning());
    }
}
