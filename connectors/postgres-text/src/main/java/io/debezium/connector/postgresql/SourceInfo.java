package io.debezium.connector.postgresql;

import io.debezium.connector.common.BaseSourceInfo;
import io.debezium.connector.postgresql.connection.Lsn;
import io.debezium.connector.postgresql.connection.ReplicationMessage.Operation;
import io.debezium.relational.TableId;
import java.time.Instant;

/**
 * Where an event comes from. Stands in for Debezium's class of this name, and adds one number: rows of
 * one COPY or INSERT share a WAL position and can be identical, so the position alone does not say which
 * change of a table without a key an event is. The number counts the row messages at one position from
 * the beginning of their transaction. PostgreSQL sends transactions whole and in one order (and
 * WalPositionLocator skips no part of one), so a change that comes again has the same number.
 */
public final class SourceInfo extends BaseSourceInfo {
    public static final String TIMESTAMP_USEC_KEY = "ts_usec";
    public static final String TXID_KEY = "txId";
    public static final String XMIN_KEY = "xmin";
    public static final String LSN_KEY = "lsn";
    public static final String MSG_TYPE_KEY = "messageType";
    public static final String LAST_SNAPSHOT_RECORD_KEY = "last_snapshot_record";
    public static final String ORIGIN_KEY = "origin";
    public static final String ORIGIN_LSN_KEY = "origin_lsn";

    private final String dbName;

    private Lsn lsn;
    private Lsn lastCommitLsn;
    private Long txId;
    private Long xmin;
    private Operation messageType;
    private Instant timestamp;
    private String schemaName;
    private String tableName;
    private String originName;
    private Lsn originLsn;
    /** Position of the transaction's last row message, and how many came at it before that one. */
    private Lsn countedLsn;

    private long ordinal;

    protected SourceInfo(PostgresConnectorConfig connectorConfig) {
        super(connectorConfig);
        this.dbName = connectorConfig.databaseName();
    }

    protected SourceInfo update(
            Lsn lsn, Instant commitTime, Long txId, Long xmin, TableId tableId, Operation messageType) {
        count(lsn, messageType);
        this.lsn = lsn;
        if (commitTime != null) this.timestamp = commitTime;
        this.txId = txId;
        this.xmin = xmin;
        if (messageType != null) this.messageType = messageType;
        this.schemaName = tableId != null && tableId.schema() != null ? tableId.schema() : "";
        this.tableName = tableId != null && tableId.table() != null ? tableId.table() : "";
        return this;
    }

    /** What was read from stored offsets counts for nothing: a BEGIN comes before every row. */
    private void count(Lsn lsn, Operation messageType) {
        if (messageType == null || messageType == Operation.BEGIN || messageType == Operation.COMMIT) {
            countedLsn = null;
            ordinal = 0;
        } else if (lsn != null && lsn.equals(countedLsn)) {
            ordinal += 1;
        } else {
            countedLsn = lsn;
            ordinal = 0;
        }
    }

    protected SourceInfo update(Instant timestamp, TableId tableId) {
        this.timestamp = timestamp;
        if (tableId != null && tableId.schema() != null) this.schemaName = tableId.schema();
        if (tableId != null && tableId.table() != null) this.tableName = tableId.table();
        return this;
    }

    protected SourceInfo updateLastCommit(Lsn lsn) {
        this.lastCommitLsn = lsn;
        if (lsn != null) this.lsn = lsn;
        return this;
    }

    public Lsn lsn() {
        return lsn;
    }

    public Long xmin() {
        return xmin;
    }

    public Operation messageType() {
        return messageType;
    }

    /** As Debezium makes it, and the number behind it where it is not 0: <code>["1","2",3]</code>. */
    @Override
    public String sequence() {
        StringBuilder text = new StringBuilder(64).append('[');
        append(text, lastCommitLsn);
        append(text.append(','), lsn);
        if (ordinal > 0) text.append(',').append(ordinal);
        return text.append(']').toString();
    }

    private static void append(StringBuilder text, Lsn lsn) {
        if (lsn == null) text.append("null");
        else text.append('"').append(lsn.asLong()).append('"');
    }

    @Override
    protected String database() {
        return dbName;
    }

    String schemaName() {
        return schemaName;
    }

    String tableName() {
        return tableName;
    }

    @Override
    protected Instant timestamp() {
        return timestamp;
    }

    protected Long txId() {
        return txId;
    }

    public String originName() {
        return originName;
    }

    public Lsn originLsn() {
        return originLsn;
    }

    protected void updateOrigin(String originName, Lsn originLsn) {
        this.originName = originName;
        this.originLsn = originLsn;
    }

    protected void clearOrigin() {
        this.originName = null;
        this.originLsn = null;
    }

    @Override
    public String toString() {
        return "source_info[db='" + dbName + "', lsn=" + lsn + ", ordinal=" + ordinal + ", txId=" + txId
                + ", messageType=" + messageType + ", lastCommitLsn=" + lastCommitLsn + ", timestamp=" + timestamp
                + ", snapshot=" + snapshotRecord + ", schema=" + schemaName + ", table=" + tableName + "]";
    }
}
