package io.debezium.connector.postgresql.connection.pgoutput;

import io.debezium.connector.postgresql.PostgresValueConverter;
import io.debezium.connector.postgresql.connection.AbstractColumnValue;
import io.debezium.data.SpecialValueDecimal;
import java.math.BigDecimal;
import java.util.HexFormat;

/**
 * A value as pgoutput sends it: PostgreSQL's text. Stands in for Debezium's class of this name (which is why
 * this jar has to come before Debezium's in the plug-in's folder, by its name).
 *
 * <p>Debezium makes the driver's PGInterval of an interval, which reads infinity as zero and fails for more
 * than 2^31 hours, and with it the connector, for good. Here an interval stays the text that it is; what
 * becomes of it is PostgresText's, which sends text anyhow.
 */
class PgOutputColumnValue extends AbstractColumnValue<String> {
    private final String value;

    PgOutputColumnValue(String value) {
        this.value = value;
    }

    @Override
    public Object asInterval() {
        return value;
    }

    @Override
    public String getRawValue() {
        return value;
    }

    @Override
    public boolean isNull() {
        return value == null;
    }

    @Override
    public String asString() {
        return value;
    }

    @Override
    public Boolean asBoolean() {
        return "t".equals(value);
    }

    @Override
    public Integer asInteger() {
        return Integer.valueOf(value);
    }

    @Override
    public Long asLong() {
        return Long.valueOf(value);
    }

    @Override
    public Float asFloat() {
        return Float.valueOf(value);
    }

    @Override
    public Double asDouble() {
        return Double.valueOf(value);
    }

    @Override
    public SpecialValueDecimal asDecimal() {
        return PostgresValueConverter.toSpecialValue(value)
                .orElseGet(() -> new SpecialValueDecimal(new BigDecimal(value)));
    }

    @Override
    public byte[] asByteArray() {
        // Printed as \x00ff.
        return HexFormat.of().parseHex(value, 2, value.length());
    }
}
