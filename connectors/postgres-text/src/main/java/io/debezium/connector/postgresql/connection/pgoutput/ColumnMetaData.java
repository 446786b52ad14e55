package io.debezium.connector.postgresql.connection.pgoutput;

import cdc.ColumnType;
import io.debezium.connector.postgresql.PostgresType;
import io.debezium.relational.Column;

/**
 * A column of pgoutput's Relation message. Stands in for Debezium's class of this name (which is why
 * this jar has to come before Debezium's in the plug-in's folder, by its name).
 *
 * <p>Debezium 3.7.0's own takes the name of the type from the catalog of now, by the name of the column
 * (dbz#2232), and the values of the stream are read as that type. In what was written before an ALTER
 * TABLE a column of this name may have had another; and a type is not known by its name (see ColumnType).
 * Such values were refused, and the connector failed for good, or were sent as what they are not. Here the
 * OID in the message counts alone.
 */
public class ColumnMetaData {
    private final String name;
    private final PostgresType type;
    private final boolean key;
    private final boolean optional;

    ColumnMetaData(
            String name,
            PostgresType type,
            boolean key,
            boolean optional,
            boolean hasDefault,
            String defaultExpression,
            int modifier,
            String nameInCatalog) {
        this.name = name;
        this.type = type;
        this.key = key;
        this.optional = optional;
    }

    public String getColumnName() {
        return name;
    }

    public PostgresType getPostgresType() {
        return ColumnType.of(type);
    }

    public boolean isKey() {
        return key;
    }

    public boolean isOptional() {
        return optional;
    }

    /** No event carries defaults, and Debezium's own parser of them goes by the type's name, too. */
    public boolean hasDefaultValue() {
        return false;
    }

    public String getDefaultValueExpression() {
        return null;
    }

    public int getLength() {
        return Column.UNSET_INT_VALUE;
    }

    public int getScale() {
        return 0;
    }

    public String getTypeName() {
        return ColumnType.name(type);
    }

    public String getDriverTypeName() {
        return ColumnType.name(type);
    }
}
