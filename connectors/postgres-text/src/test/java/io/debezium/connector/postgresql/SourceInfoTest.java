package io.debezium.connector.postgresql;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.debezium.config.Configuration;
import io.debezium.connector.postgresql.connection.Lsn;
import io.debezium.connector.postgresql.connection.ReplicationMessage.Operation;
import io.debezium.relational.TableId;
import java.time.Instant;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SourceInfoTest {
    private static final TableId TABLE = new TableId(null, "public", "t");
    private SourceInfo source;

    @BeforeEach
    void make() {
        source = new SourceInfo(new PostgresConnectorConfig(Configuration.create()
                .with("topic.prefix", "cdc")
                .with("database.dbname", "shop")
                .build()));
    }

    private String message(long lsn, Operation operation) {
        source.update(Lsn.valueOf(lsn), Instant.EPOCH, 7L, null, TABLE, operation);
        return source.sequence();
    }

    @Test
    void beforeAnythingWasReadItHasNoPosition() {
        assertEquals("[null,null]", source.sequence());
    }

    @Test
    void theFirstRowAtAPositionHasNoNumber() {
        message(100, Operation.BEGIN);
        assertEquals("[null,\"101\"]", message(101, Operation.INSERT));
        assertEquals("[null,\"102\"]", message(102, Operation.UPDATE));
    }

    @Test
    void rowsOfOneStatementAreCounted() {
        message(100, Operation.BEGIN);
        assertEquals("[null,\"101\"]", message(101, Operation.INSERT));
        assertEquals("[null,\"101\",1]", message(101, Operation.INSERT));
        assertEquals("[null,\"101\",2]", message(101, Operation.INSERT));
        assertEquals("[null,\"150\"]", message(150, Operation.INSERT));
        assertEquals("[null,\"150\",1]", message(150, Operation.DELETE));
    }

    @Test
    void aTransactionThatComesAgainHasTheSameNumbers() {
        for (int time = 0; time < 2; time += 1) {
            message(100, Operation.BEGIN);
            assertEquals("[null,\"101\"]", message(101, Operation.INSERT));
            assertEquals("[null,\"101\",1]", message(101, Operation.INSERT));
            // Ended in the middle by a restart the first time.
        }
    }

    @Test
    void countingBeginsAnewWithEveryTransaction() {
        message(101, Operation.BEGIN);
        message(101, Operation.INSERT);
        message(101, Operation.COMMIT);
        message(101, Operation.BEGIN);
        assertEquals("[null,\"101\"]", message(101, Operation.INSERT));
    }

    @Test
    void storedOffsetsCountForNothing() {
        // So Debezium hands over what it read from them: without a message.
        message(101, null);
        message(101, Operation.BEGIN);
        assertEquals("[null,\"101\"]", message(101, Operation.INSERT));
    }

    @Test
    void thePositionOfTheLastCommitStandsFirst() {
        source.updateLastCommit(Lsn.valueOf(90L));
        assertEquals("[\"90\",\"90\"]", source.sequence());
        message(100, Operation.BEGIN);
        assertEquals("[\"90\",\"101\"]", message(101, Operation.INSERT));
    }

    @Test
    void theLargestPositionIsWrittenOut() {
        source.updateLastCommit(Lsn.valueOf("7FFFFFFF/FFFFFFFF"));
        assertEquals("[\"9223372036854775807\",\"9223372036854775807\"]", source.sequence());
    }

    @Test
    void whereTheRowStoodIsKept() {
        message(101, Operation.INSERT);
        assertEquals("public", source.schemaName());
        assertEquals("t", source.tableName());
        assertEquals("shop", source.database());
        assertEquals(7L, source.txId());
        // Of a message that is no row's.
        source.update(Lsn.valueOf(102L), null, 8L, null, null, Operation.COMMIT);
        assertEquals("", source.schemaName());
        assertEquals("", source.tableName());
        assertEquals(Instant.EPOCH, source.timestamp());
    }
}
