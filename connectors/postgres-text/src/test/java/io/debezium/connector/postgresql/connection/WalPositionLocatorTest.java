package io.debezium.connector.postgresql.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.debezium.connector.postgresql.connection.ReplicationMessage.Operation;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class WalPositionLocatorTest {
    private final WalPositionLocator locator =
            new WalPositionLocator(Lsn.valueOf(90L), Lsn.valueOf(100L), Operation.INSERT, 1);

    @Test
    void nothingThatComesAgainIsLeftOut() {
        locator.enableFiltering();
        for (long lsn : new long[] {80, 90, 99, 100, 101}) {
            assertFalse(locator.skipMessage(Lsn.valueOf(lsn)));
            assertFalse(locator.skipProcessedLogicalMessage(Lsn.valueOf(lsn)));
        }
    }

    @Test
    void theStreamIsNotReadTwice() {
        assertFalse(locator.searchingEnabled());
        assertEquals(Optional.of(Lsn.valueOf(80L)), locator.resumeFromLsn(Lsn.valueOf(80L), null));
    }

    @Test
    void itKnowsWhatWasStored() {
        assertEquals(Lsn.valueOf(90L), locator.getLastCommitStoredLsn());
        assertEquals(Lsn.valueOf(100L), locator.getLastEventStoredLsn());
        assertEquals(null, new WalPositionLocator().getLastEventStoredLsn());
    }
}
