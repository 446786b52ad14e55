package cdc;

import io.debezium.connector.postgresql.PostgresType;
import io.debezium.connector.postgresql.TypeRegistry;
import java.sql.Types;
import java.util.Set;

/**
 * What Debezium is told about the type of a column: one of those that it carries exactly, or "text".
 *
 * <p>Debezium looks types up by their names, of which a schema is no part, and so does the driver: a
 * composite that a user called point was read as a point, an enum in the table's schema stood in for the
 * built-in type of its name, and the connector failed for good. Here the OID alone tells, and the name that
 * Debezium gets is one that it can only take for what is meant.
 */
public final class ColumnType {
    static final int BOOL = 16;
    static final int BYTEA = 17;
    private static final int TIMETZ = 1266;

    /** Types (by OID, all built in) whose Debezium form is exact, or whose misfits it shows. */
    static final Set<Integer> EXACT = Set.of(
            BOOL, // bool
            BYTEA, // bytea
            19, // name
            20, // int8
            21, // int2
            23, // int4
            25, // text
            26, // oid
            114, // json
            700, // float4
            701, // float8
            1042, // bpchar
            1043, // varchar
            2950, // uuid
            3802); // jsonb

    /** PostgreSQL's text of it depends on the server's settings: Debezium makes a number of it. */
    private static final int MONEY = 790;

    /** Debezium takes the driver's getString of a value of this OID: PostgreSQL's text of any type. */
    private static final PostgresType TEXT =
            new PostgresType.Builder(null, "text", TIMETZ, Types.VARCHAR, TypeRegistry.NO_TYPE_MODIFIER, null).build();

    private ColumnType() {}

    /** The type that a column has for Debezium. */
    public static PostgresType of(PostgresType type) {
        PostgresType root = type.getRootType();
        return EXACT.contains(root.getOid()) || root.getOid() == MONEY ? root : TEXT;
    }

    /** A name by which Debezium finds that type, and no other. */
    public static String name(PostgresType type) {
        return "pg_catalog." + of(type).getName();
    }
}
