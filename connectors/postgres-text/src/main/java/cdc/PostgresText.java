package cdc;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.connector.postgresql.connection.pgoutput.ColumnMetaData;
import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.net.URL;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.TimeZone;
import java.util.UUID;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.errors.DataException;
import org.postgresql.util.PGobject;

/**
 * Sends a value as the text that PostgreSQL prints for it, for every type that Debezium's own form
 * does not hold exactly: arrays (several dimensions become a Java object's name, microseconds of a
 * time are cut, NaN empties the array), time 24:00, timetz, varbit, intervals, composites and more.
 *
 * <p>Options: <code>placeholder</code>, what stands for a TOASTed value that did not change;
 * <code>columns</code>, a JSON list of schema.table.column sent as text whatever their type; and
 * <code>masked</code>, such a list of columns of which only the SHA-256 of the text is sent.
 */
public final class PostgresText implements CustomConverter<SchemaBuilder, RelationalColumn> {
    private String placeholder = "";
    private Set<String> columns = Set.of();
    private Set<String> masked = Set.of();

    @Override
    public void configure(Properties options) {
        // PostgreSQL prints times with a zone in the zone that the driver asks for: the JVM's.
        if (TimeZone.getDefault().getOffset(System.currentTimeMillis()) != 0) {
            throw new ConfigException("Kafka Connect must run with -Duser.timezone=UTC");
        }
        if (!codeOf(ColumnMetaData.class).equals(codeOf(PostgresText.class))) {
            throw new ConfigException("cdc-postgres-text.jar must come before Debezium's jars in the plug-in's"
                    + " folder: copy it there under this name");
        }
        placeholder = options.getProperty("placeholder", "");
        columns = names(options, "columns");
        masked = names(options, "masked");
    }

    private static URL codeOf(Class<?> type) {
        return type.getProtectionDomain().getCodeSource().getLocation();
    }

    private static Set<String> names(Properties options, String key) {
        try {
            return Set.of(new ObjectMapper().readValue(options.getProperty(key, "[]"), String[].class));
        } catch (Exception e) {
            throw new ConfigException(key, options.getProperty(key), "must be a JSON list of names");
        }
    }

    @Override
    public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
        String name = column.dataCollection() + "." + column.name();
        boolean mask = masked.contains(name);
        if (!mask && ColumnType.EXACT.contains(column.nativeType()) && !columns.contains(name)) {
            return;
        }
        int oid = column.nativeType();
        registration.register(SchemaBuilder.string().optional(), value -> {
            if (value == null) {
                return null;
            }
            if (UnchangedToastedReplicationMessageColumn.isUnchangedToastedValue(value)) {
                return placeholder;
            }
            String text = text(oid, value);
            return mask && text != null ? sha256(text) : text;
        });
    }

    private static String sha256(String text) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new DataException(e);
        }
    }

    static String text(int oid, Object value) {
        if (value instanceof String s) return s;
        if (value instanceof byte[] bytes) return bytes(oid, bytes);
        if (value instanceof ByteBuffer buffer) {
            byte[] bytes = new byte[buffer.remaining()];
            buffer.duplicate().get(bytes);
            return bytes(oid, bytes);
        }
        if (value instanceof BigDecimal d) return d.toPlainString();
        if (value instanceof Boolean b) return oid == ColumnType.BOOL ? (b ? "t" : "f") : (b ? "1" : "0");
        if (value instanceof Float f) return number(f);
        if (value instanceof Double d) return number(d);
        if (value instanceof Number n) return n.toString();
        if (value instanceof UUID u) return u.toString();
        if (value instanceof PGobject o) return o.getValue();
        throw new DataException("no text is known for a " + value.getClass().getName());
    }

    private static String bytes(int oid, byte[] bytes) {
        return oid == ColumnType.BYTEA ? "\\x" + HexFormat.of().formatHex(bytes) : new String(bytes, UTF_8);
    }

    // --- numbers: the shortest text that reads back equal, in PostgreSQL's form

    private static String number(float value) {
        if (Float.isNaN(value) || Float.isInfinite(value) || value == 0) return number((double) value);
        float size = Math.abs(value);
        float next = Math.nextUp(size);
        BigDecimal exact = new BigDecimal(size);
        BigDecimal below = between(exact, new BigDecimal(Math.nextDown(size)));
        // The largest is as far from what would be next as from the one before.
        BigDecimal above =
                Float.isInfinite(next) ? exact.add(exact).subtract(below) : between(exact, new BigDecimal(next));
        return (value < 0 ? "-" : "") + shortest(exact, below, above, 9, 6);
    }

    private static String number(double value) {
        if (Double.isNaN(value)) return "NaN";
        if (Double.isInfinite(value)) return value > 0 ? "Infinity" : "-Infinity";
        if (value == 0) return 1 / value < 0 ? "-0" : "0";
        double size = Math.abs(value);
        double next = Math.nextUp(size);
        BigDecimal exact = new BigDecimal(size);
        BigDecimal below = between(exact, new BigDecimal(Math.nextDown(size)));
        BigDecimal above =
                Double.isInfinite(next) ? exact.add(exact).subtract(below) : between(exact, new BigDecimal(next));
        return (value < 0 ? "-" : "") + shortest(exact, below, above, 17, 15);
    }

    private static BigDecimal between(BigDecimal a, BigDecimal b) {
        return a.add(b).divide(BigDecimal.valueOf(2));
    }

    private static String shortest(BigDecimal exact, BigDecimal below, BigDecimal above, int digits, int plainDigits) {
        BigDecimal found = null;
        for (int n = 1; n <= digits && found == null; n++) {
            // Not always the nearest: below a power of two the neighbours are closer than above it.
            for (RoundingMode mode : List.of(RoundingMode.HALF_EVEN, RoundingMode.DOWN, RoundingMode.UP)) {
                BigDecimal rounded = exact.round(new MathContext(n, mode));
                if (found == null && rounded.compareTo(below) > 0 && rounded.compareTo(above) < 0) found = rounded;
            }
        }
        if (found == null) found = exact.round(new MathContext(digits));
        found = found.stripTrailingZeros();
        String all = found.unscaledValue().toString();
        int exponent = found.precision() - found.scale() - 1;
        if (exponent >= -4 && exponent < plainDigits) return found.toPlainString();
        String fraction = all.length() > 1 ? "." + all.substring(1) : "";
        return String.format("%s%se%s%02d", all.charAt(0), fraction, exponent < 0 ? "-" : "+", Math.abs(exponent));
    }
}
