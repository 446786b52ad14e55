package cdc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.spi.converter.CustomConverter.Converter;
import io.debezium.spi.converter.RelationalColumn;
import java.util.OptionalInt;
import java.util.Properties;
import java.util.TimeZone;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.junit.jupiter.api.Test;

/** Which columns are sent as text, and which of them masked. */
class PostgresTextColumnsTest {
    private static final int INT4 = 23;
    private static final int NUMERIC = 1700;

    private record Column(String dataCollection, String name, int nativeType) implements RelationalColumn {
        @Override
        public int jdbcType() {
            return 0;
        }

        @Override
        public String typeName() {
            return "";
        }

        @Override
        public String typeExpression() {
            return "";
        }

        @Override
        public OptionalInt length() {
            return OptionalInt.empty();
        }

        @Override
        public OptionalInt scale() {
            return OptionalInt.empty();
        }

        @Override
        public boolean isOptional() {
            return true;
        }

        @Override
        public Object defaultValue() {
            return null;
        }

        @Override
        public boolean hasDefaultValue() {
            return false;
        }
    }

    private static PostgresText configured(String... options) {
        Properties properties = new Properties();
        for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
        PostgresText text = new PostgresText();
        text.configure(properties);
        return text;
    }

    /** What is registered for a column of public.t; null where Debezium's own form stays. */
    private static Converter registered(PostgresText text, String name, int oid) {
        AtomicReference<Converter> found = new AtomicReference<>();
        text.converterFor(new Column("public.t", name, oid), (schema, converter) -> {
            assertEquals(Schema.Type.STRING, schema.build().type());
            assertTrue(schema.build().isOptional());
            found.set(converter);
        });
        return found.get();
    }

    @Test
    void whatDebeziumCarriesExactlyIsLeftToIt() {
        PostgresText text = configured();
        for (int oid : ColumnType.EXACT) assertNull(registered(text, "c", oid));
    }

    @Test
    void everyOtherTypeIsSentAsText() {
        PostgresText text = configured();
        assertEquals("{1,2}", registered(text, "c", 1007).convert("{1,2}"));
        // Of a user's own.
        assertEquals("(1,2)", registered(text, "c", 70_000).convert("(1,2)"));
    }

    @Test
    void columnsThatAreNamedAreSentAsTextWhateverTheirType() {
        PostgresText text = configured("columns", "[\"public.t.c\"]");
        assertEquals("5", registered(text, "c", INT4).convert(5));
        assertNull(registered(text, "d", INT4));
    }

    @Test
    void aNullStaysOne() {
        assertNull(registered(configured(), "c", NUMERIC).convert(null));
        assertNull(
                registered(configured("masked", "[\"public.t.c\"]"), "c", INT4).convert(null));
    }

    @Test
    void ofAMaskedColumnOnlyTheDigestOfItsTextIsSent() {
        PostgresText text = configured("masked", "[\"public.t.c\"]");
        // printf abc | sha256sum; printf 5 | sha256sum
        assertEquals(
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                registered(text, "c", 25).convert("abc"));
        assertEquals(
                "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d",
                registered(text, "c", INT4).convert(5));
        assertNull(registered(text, "d", 25));
    }

    @Test
    void aToastedValueThatDidNotChangeIsThePlaceholder() {
        Object unchanged = UnchangedToastedReplicationMessageColumn.UNCHANGED_TOAST_VALUE;
        PostgresText text = configured("placeholder", "~p~", "masked", "[\"public.t.m\"]");
        assertEquals("~p~", registered(text, "c", NUMERIC).convert(unchanged));
        // It is looked up by this sign, so it must not be masked itself.
        assertEquals("~p~", registered(text, "m", 25).convert(unchanged));
    }

    @Test
    void listsThatAreNoneAreRefused() {
        assertThrows(ConfigException.class, () -> configured("columns", "public.t.c"));
        assertThrows(ConfigException.class, () -> configured("masked", "{\"a\":1}"));
    }

    @Test
    void anotherZoneThanUtcIsRefused() {
        TimeZone before = TimeZone.getDefault();
        try {
            TimeZone.setDefault(TimeZone.getTimeZone("Asia/Kolkata"));
            ConfigException refused = assertThrows(ConfigException.class, () -> configured());
            assertTrue(refused.getMessage().contains("-Duser.timezone=UTC"));
        } finally {
            TimeZone.setDefault(before);
        }
        assertNotNull(configured());
    }
}
