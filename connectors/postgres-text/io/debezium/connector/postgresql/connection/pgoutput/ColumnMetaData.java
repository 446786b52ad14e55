package io.debezium.connector.postgresql.connection.pgoutput;

import io.debezium.connector.postgresql.PostgresType;
import io.debezium.connector.postgresql.TypeRegistry;
import java.util.Map;

/**
 * A column of pgoutput's Relation message. Stands in for Debezium's class of this name (which is why
 * this jar has to come before Debezium's in the plug-in's folder, by its name).
 *
 * <p>Debezium 3.7.0's own takes the name of the type from the catalog of now, by the name of the column
 * (dbz#2232), and the values of the stream are read as that type. In what was written before an ALTER
 * TABLE a column of this name may have had another: such values were refused, and the connector failed
 * for good, or were sent as what they are not. Here the catalog's name counts only where it names the
 * type of the message.
 */
public class ColumnMetaData {
    /** Names under which the driver reports an integer with a sequence. */
    private static final Map<String, String> SERIALS =
            Map.of("smallserial", "int2", "serial", "int4", "bigserial", "int8");

    private final String name;
    private final PostgresType type;
    private final boolean key;
    private final boolean optional;
    private final boolean hasDefault;
    private final String defaultExpression;
    private final int modifier;
    private final String nameOfType;

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
        this.hasDefault = hasDefault;
        this.defaultExpression = defaultExpression;
        this.modifier = modifier;
        this.nameOfType = names(nameInCatalog, type) ? nameInCatalog : type.getName();
    }

    /** The catalog's name may have a schema and quotes before and around it. */
    private static boolean names(String nameInCatalog, PostgresType type) {
        if (nameInCatalog == null) return false;
        String known = SERIALS.getOrDefault(nameInCatalog, nameInCatalog);
        String bare = type.getName();
        return known.equals(bare) || known.endsWith("." + bare) || known.endsWith("\"" + bare + "\"");
    }

    private boolean isModified() {
        return modifier != TypeRegistry.NO_TYPE_MODIFIER;
    }

    public String getColumnName() {
        return name;
    }

    public PostgresType getPostgresType() {
        return type;
    }

    public boolean isKey() {
        return key;
    }

    public boolean isOptional() {
        return optional;
    }

    public boolean hasDefaultValue() {
        return hasDefault;
    }

    public String getDefaultValueExpression() {
        return defaultExpression;
    }

    public int getLength() {
        if (isModified() && type.isVector()) return modifier;
        return isModified() && type.getTypeInfo() != null
                ? type.getTypeInfo().getPrecision(type.getOid(), modifier)
                : type.getDefaultLength();
    }

    public int getScale() {
        if (type.isVector()) return 0;
        return isModified() && type.getTypeInfo() != null
                ? type.getTypeInfo().getScale(type.getOid(), modifier)
                : type.getDefaultScale();
    }

    /** With length and scale, as in <code>numeric(10,2)</code>. */
    public String getTypeName() {
        int length = getLength();
        int scale = getScale();
        if (length == type.getDefaultLength() && scale == 0) return nameOfType;
        return nameOfType + (type.isVector() ? "(" + length + ")" : "(" + length + "," + scale + ")");
    }

    public String getDriverTypeName() {
        return nameOfType;
    }
}
