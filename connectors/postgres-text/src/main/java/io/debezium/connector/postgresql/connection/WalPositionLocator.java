package io.debezium.connector.postgresql.connection;

import io.debezium.connector.postgresql.connection.ReplicationMessage.Operation;
import java.util.Optional;

/**
 * Where streaming goes on after a restart. Stands in for Debezium's class of this name, which leaves out
 * what was sent before of the transaction that the stored offset lies in. It finds the place by the WAL
 * position, which all rows of one COPY or INSERT share, and tells these apart by a count that is not
 * looked at when it is 1: were the first row of many the last one sent, the others would be left out.
 * Rows are also numbered from the beginning of their transaction (SourceInfo).
 *
 * <p>So nothing is left out here. PostgreSQL sends the transactions that had not ended at the stored
 * position, each whole; what comes twice is stored once.
 */
public class WalPositionLocator {
    private final Lsn lastCommitStoredLsn;
    private final Lsn lastEventStoredLsn;

    public WalPositionLocator(Lsn lastCommitStoredLsn, Lsn lastEventStoredLsn, Operation lastProcessedMessageType) {
        this(lastCommitStoredLsn, lastEventStoredLsn, lastProcessedMessageType, 0);
    }

    public WalPositionLocator(
            Lsn lastCommitStoredLsn,
            Lsn lastEventStoredLsn,
            Operation lastProcessedMessageType,
            long lsnEventsProcessed) {
        this.lastCommitStoredLsn = lastCommitStoredLsn;
        this.lastEventStoredLsn = lastEventStoredLsn;
    }

    public WalPositionLocator() {
        this(null, null, null, 0);
    }

    public Optional<Lsn> resumeFromLsn(Lsn currentLsn, ReplicationMessage message) {
        return Optional.of(currentLsn);
    }

    public boolean skipMessage(Lsn lsn) {
        return false;
    }

    public boolean skipProcessedLogicalMessage(Lsn lsn) {
        return false;
    }

    public void enableFiltering() {}

    /** There is nothing to be found, so the stream need not be read twice. */
    public boolean searchingEnabled() {
        return false;
    }

    public Lsn getLastEventStoredLsn() {
        return lastEventStoredLsn;
    }

    public Lsn getLastCommitStoredLsn() {
        return lastCommitStoredLsn;
    }

    @Override
    public String toString() {
        return "WalPositionLocator [lastCommitStoredLsn=" + lastCommitStoredLsn + ", lastEventStoredLsn="
                + lastEventStoredLsn + "]";
    }
}
