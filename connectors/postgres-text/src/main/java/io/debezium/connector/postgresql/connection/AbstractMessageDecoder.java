package io.debezium.connector.postgresql.connection;

import cdc.SameNames;
import io.debezium.connector.postgresql.TypeRegistry;
import io.debezium.connector.postgresql.connection.ReplicationStream.ReplicationMessageProcessor;
import java.nio.ByteBuffer;
import java.sql.SQLException;

/**
 * Where every message of the stream comes by. Stands in for Debezium's class of this name, so that a table whose
 * columns have names that Debezium takes for one does not end the task (see SameNames).
 */
public abstract class AbstractMessageDecoder implements MessageDecoder {
    @Override
    public void processMessage(ByteBuffer buffer, ReplicationMessageProcessor processor, TypeRegistry types)
            throws SQLException, InterruptedException {
        if (buffer == null) processor.process(null);
        else processNotEmptyMessage(SameNames.toldApart(buffer), processor, types);
    }

    protected abstract void processNotEmptyMessage(
            ByteBuffer buffer, ReplicationMessageProcessor processor, TypeRegistry types)
            throws SQLException, InterruptedException;

    @Override
    public boolean shouldMessageBeSkipped(ByteBuffer buffer, Lsn lastReceived, Lsn start, WalPositionLocator position) {
        return position.skipMessage(lastReceived);
    }

    @Override
    public void close() {}
}
