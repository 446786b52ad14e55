package io.debezium.connector.postgresql.connection;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.fail;

import io.debezium.connector.postgresql.TypeRegistry;
import io.debezium.connector.postgresql.connection.ReplicationStream.ReplicationMessageProcessor;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.postgresql.replication.fluent.logical.ChainedLogicalStreamBuilder;

class AbstractMessageDecoderTest {
    private final List<ByteBuffer> decoded = new ArrayList<>();
    private final AbstractMessageDecoder decoder = new AbstractMessageDecoder() {
        @Override
        protected void processNotEmptyMessage(
                ByteBuffer buffer, ReplicationMessageProcessor processor, TypeRegistry types) {
            decoded.add(buffer);
        }

        @Override
        public ChainedLogicalStreamBuilder defaultOptions(
                ChainedLogicalStreamBuilder builder, Function<Integer, Boolean> hasVersion) {
            return builder;
        }
    };

    @Test
    void noMessageIsHandedOnAsNone() throws Exception {
        List<ReplicationMessage> seen = new ArrayList<>();
        decoder.processMessage(null, seen::add, null);
        assertEquals(1, seen.size());
        assertNull(seen.get(0));
        assertEquals(List.of(), decoded);
    }

    @Test
    void aMessageIsDecodedAsItCame() throws Exception {
        ByteBuffer message = ByteBuffer.wrap("B123".getBytes(UTF_8));
        decoder.processMessage(message, one -> fail(), null);
        assertSame(message, decoded.get(0));
    }

    @Test
    void namesThatDebeziumTakesForOneAreToldApartBefore() throws Exception {
        String relation = "R\0\0\0\1s\0t\0d\0\2\0a\0\0\0\0\27\0\0\0\0\0A\0\0\0\0\27\0\0\0\0";
        decoder.processMessage(ByteBuffer.wrap(relation.getBytes(UTF_8)), one -> fail(), null);
        assertEquals(
                "R\0\0\0\1s\0t\0d\0\2\0a\u00010\0\0\0\0\27\0\0\0\0\0A\u00011\0\0\0\0\27\0\0\0\0",
                UTF_8.decode(decoded.get(0)).toString());
    }

    @Test
    void nothingIsSkipped() {
        assertFalse(decoder.shouldMessageBeSkipped(
                null, Lsn.valueOf(1L), Lsn.valueOf(2L), new WalPositionLocator(null, Lsn.valueOf(3L), null)));
    }
}
