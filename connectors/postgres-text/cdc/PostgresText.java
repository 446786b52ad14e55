package cdc;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.debezium.connector.postgresql.PostgresValueConverter;
import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.connector.postgresql.connection.pgoutput.ColumnMetaData;
import io.debezium.data.SpecialValueDecimal;
import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.net.URL;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.SQLException;
import java.sql.SQLXML;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.Calendar;
import java.util.Comparator;
import java.util.GregorianCalendar;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TimeZone;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.errors.DataException;
import org.postgresql.PGStatement;
import org.postgresql.geometric.PGbox;
import org.postgresql.geometric.PGcircle;
import org.postgresql.geometric.PGline;
import org.postgresql.geometric.PGlseg;
import org.postgresql.geometric.PGpath;
import org.postgresql.geometric.PGpoint;
import org.postgresql.geometric.PGpolygon;
import org.postgresql.util.PGInterval;
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
    private static final int BOOL = 16;
    private static final int BYTEA = 17;

    /** Types (by oid, all built in) whose Debezium form is exact, or whose misfits it shows. */
    private static final Set<Integer> EXACT = Set.of(
            BOOL, BYTEA, 19 /* name */, 20, 21, 23 /* integers */, 25 /* text */, 26 /* oid */, 114 /* json */,
            700, 701 /* floats */, 1042 /* bpchar */, 1043 /* varchar */, 2950 /* uuid */, 3802 /* jsonb */);

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
        if (!mask && EXACT.contains(column.nativeType()) && !columns.contains(name)) {
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
        if (value instanceof SpecialValueDecimal d) {
            return d.getDecimalValue().map(BigDecimal::toPlainString).orElseGet(() -> number(d.toDouble()));
        }
        if (value instanceof BigDecimal d) return d.toPlainString();
        if (value instanceof Boolean b) return oid == BOOL ? (b ? "t" : "f") : (b ? "1" : "0");
        if (value instanceof Float f) return number(f);
        if (value instanceof Double d) return number(d);
        if (value instanceof Number n) return n.toString();
        if (value instanceof LocalDate d) return date(d);
        if (value instanceof java.sql.Date d) return date(d);
        if (value instanceof Instant i) return timestamp(i);
        if (value instanceof LocalDateTime t) return timestamp(t.toInstant(ZoneOffset.UTC));
        if (value instanceof OffsetDateTime t) return timestampWithZone(t);
        if (value instanceof OffsetTime t) return t.toString();
        if (value instanceof PGInterval i) return interval(i);
        if (value instanceof PGpoint p) return point(p);
        if (value instanceof PGlseg s) return "[" + points(s.point) + "]";
        if (value instanceof PGbox b) return points(b.point);
        if (value instanceof PGpath p) return p.open ? "[" + points(p.points) + "]" : "(" + points(p.points) + ")";
        if (value instanceof PGpolygon p) return "(" + points(p.points) + ")";
        if (value instanceof PGline l) return "{" + number(l.a) + "," + number(l.b) + "," + number(l.c) + "}";
        if (value instanceof PGcircle c) return "<" + point(c.center) + "," + number(c.radius) + ">";
        if (value instanceof PGobject o) return o.getValue();
        if (value instanceof java.sql.Array a) return a.toString();
        if (value instanceof Map<?, ?> map) return hstore(map);
        if (value instanceof SQLXML xml) {
            try {
                return xml.getString();
            } catch (SQLException e) {
                throw new DataException(e);
            }
        }
        throw new DataException("no text is known for a " + value.getClass().getName());
    }

    private static String bytes(int oid, byte[] bytes) {
        return oid == BYTEA ? "\\x" + HexFormat.of().formatHex(bytes) : new String(bytes, UTF_8);
    }

    // --- numbers: the shortest text that reads back equal, in PostgreSQL's form

    private static String number(float value) {
        if (Float.isNaN(value) || Float.isInfinite(value) || value == 0) return number((double) value);
        float size = Math.abs(value);
        float next = Math.nextUp(size);
        BigDecimal exact = new BigDecimal(size);
        BigDecimal below = between(exact, new BigDecimal(Math.nextDown(size)));
        // The largest is as far from what would be next as from the one before.
        BigDecimal above = Float.isInfinite(next) ? exact.add(exact).subtract(below) : between(exact, new BigDecimal(next));
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
        BigDecimal above = Double.isInfinite(next) ? exact.add(exact).subtract(below) : between(exact, new BigDecimal(next));
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

    // --- dates and times

    private static String date(LocalDate d) {
        if (d.equals(PostgresValueConverter.POSITIVE_INFINITY_LOCAL_DATE)) return "infinity";
        if (d.equals(PostgresValueConverter.NEGATIVE_INFINITY_LOCAL_DATE)) return "-infinity";
        return dated(new StringBuilder(16), d).toString();
    }

    /** What the driver makes of a date in a snapshot; its calendar is the Julian one before 1582. */
    private static String date(java.sql.Date d) {
        if (d.getTime() == PGStatement.DATE_POSITIVE_INFINITY) return "infinity";
        if (d.getTime() == PGStatement.DATE_NEGATIVE_INFINITY) return "-infinity";
        GregorianCalendar calendar = new GregorianCalendar(TimeZone.getTimeZone("UTC"));
        calendar.setTime(d);
        String era = calendar.get(Calendar.ERA) == GregorianCalendar.BC ? " BC" : "";
        return String.format("%04d-%02d-%02d", calendar.get(Calendar.YEAR), calendar.get(Calendar.MONTH) + 1,
                calendar.get(Calendar.DAY_OF_MONTH)) + era;
    }

    private static String timestamp(Instant i) {
        if (i.equals(PostgresValueConverter.POSITIVE_INFINITY_INSTANT)) return "infinity";
        if (i.equals(PostgresValueConverter.NEGATIVE_INFINITY_INSTANT)) return "-infinity";
        return timestamp(LocalDateTime.ofInstant(i, ZoneOffset.UTC), "");
    }

    private static String timestampWithZone(OffsetDateTime t) {
        if (t.equals(PostgresValueConverter.POSITIVE_INFINITY_OFFSET_DATE_TIME)) return "infinity";
        if (t.equals(PostgresValueConverter.NEGATIVE_INFINITY_OFFSET_DATE_TIME)) return "-infinity";
        return timestamp(t.withOffsetSameInstant(ZoneOffset.UTC).toLocalDateTime(), "+00");
    }

    // Every row has such values: digits are written one by one, since formatting takes 20 times longer.

    private static String timestamp(LocalDateTime t, String zone) {
        StringBuilder out = new StringBuilder(32);
        LocalDate d = t.toLocalDate();
        day(out, d).append(' ');
        two(out, t.getHour()).append(':');
        two(out, t.getMinute()).append(':');
        two(out, t.getSecond());
        int micros = t.getNano() / 1000;
        if (micros != 0) {
            out.append('.');
            for (int unit = 100_000; micros > 0; unit /= 10) {
                out.append((char) ('0' + micros / unit));
                micros %= unit;
            }
        }
        return era(out.append(zone), d).toString();
    }

    private static StringBuilder dated(StringBuilder out, LocalDate d) {
        return era(day(out, d), d);
    }

    private static StringBuilder day(StringBuilder out, LocalDate d) {
        int year = d.getYear() > 0 ? d.getYear() : 1 - d.getYear();
        if (year > 9999) out.append(year);
        else two(two(out, year / 100), year % 100);
        return two(two(out.append('-'), d.getMonthValue()).append('-'), d.getDayOfMonth());
    }

    private static StringBuilder era(StringBuilder out, LocalDate d) {
        return d.getYear() > 0 ? out : out.append(" BC");
    }

    private static StringBuilder two(StringBuilder out, int n) {
        return out.append((char) ('0' + n / 10)).append((char) ('0' + n % 10));
    }

    private static String fraction(long micros) {
        return micros == 0 ? "" : String.format(".%06d", micros).replaceAll("0+$", "");
    }

    /** As with IntervalStyle = postgres. */
    private static String interval(PGInterval i) {
        StringBuilder out = new StringBuilder();
        boolean before = false;
        int months = i.getYears() * 12 + i.getMonths();
        int[] parts = {months / 12, months % 12, i.getDays()};
        String[] units = {"year", "mon", "day"};
        for (int n = 0; n < parts.length; n++) {
            if (parts[n] == 0) continue;
            out.append(out.length() > 0 ? " " : "").append(before && parts[n] > 0 ? "+" : "");
            out.append(parts[n]).append(' ').append(units[n]).append(parts[n] == 1 ? "" : "s");
            before = parts[n] < 0;
        }
        long micros = ((i.getHours() * 60L + i.getMinutes()) * 60 + i.getWholeSeconds()) * 1_000_000 + i.getMicroSeconds();
        if (out.length() == 0 || micros != 0) {
            long rest = Math.abs(micros);
            out.append(out.length() > 0 ? " " : "").append(micros < 0 ? "-" : before ? "+" : "");
            out.append(String.format("%02d:%02d:%02d", rest / 3_600_000_000L, rest / 60_000_000 % 60, rest / 1_000_000 % 60));
            out.append(fraction(rest % 1_000_000));
        }
        return out.toString();
    }

    // --- shapes, hstore

    private static String point(PGpoint p) {
        return "(" + number(p.x) + "," + number(p.y) + ")";
    }

    private static String points(PGpoint[] points) {
        return Arrays.stream(points).map(PostgresText::point).collect(Collectors.joining(","));
    }

    /** The driver makes a map of it when a value is looked up; PostgreSQL orders keys by length, then bytes. */
    private static String hstore(Map<?, ?> map) {
        return map.entrySet().stream()
                .sorted(Comparator.comparing(e -> e.getKey().toString().getBytes(UTF_8), (a, b) ->
                        a.length != b.length ? Integer.compare(a.length, b.length) : Arrays.compareUnsigned(a, b)))
                .map(e -> quoted(e.getKey()) + "=>" + (e.getValue() == null ? "NULL" : quoted(e.getValue())))
                .collect(Collectors.joining(", "));
    }

    private static String quoted(Object text) {
        return "\"" + text.toString().replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
