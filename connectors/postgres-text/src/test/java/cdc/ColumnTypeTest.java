package cdc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.debezium.connector.postgresql.PostgresType;
import io.debezium.connector.postgresql.TypeRegistry;
import java.sql.Types;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ColumnTypeTest {
    private static PostgresType type(String name, int oid, int jdbc) {
        return new PostgresType.Builder(null, name, oid, jdbc, TypeRegistry.NO_TYPE_MODIFIER, null).build();
    }

    @ParameterizedTest
    @CsvSource({
        "bool,16",
        "bytea,17",
        "name,19",
        "int8,20",
        "int2,21",
        "int4,23",
        "text,25",
        "oid,26",
        "json,114",
        "float4,700",
        "float8,701",
        "money,790",
        "bpchar,1042",
        "varchar,1043",
        "uuid,2950",
        "jsonb,3802"
    })
    void whatDebeziumCarriesExactlyStaysWhatItIs(String name, int oid) {
        PostgresType type = type(name, oid, Types.OTHER);
        assertSame(type, ColumnType.of(type));
        assertEquals("pg_catalog." + name, ColumnType.name(type));
    }

    @ParameterizedTest
    @CsvSource({"numeric,1700", "timestamptz,1184", "_int4,1007", "interval,1186", "point,600", "citext,70001"})
    void everyOtherTypeIsText(String name, int oid) {
        PostgresType type = type(name, oid, Types.OTHER);
        assertEquals("pg_catalog.text", ColumnType.name(type));
        // Of this one Debezium takes the driver's text.
        assertEquals(1266, ColumnType.of(type).getOid());
        assertEquals(Types.VARCHAR, ColumnType.of(type).getJdbcId());
    }

    @ParameterizedTest
    @CsvSource({"int4", "point", "bool"})
    void aUsersTypeIsNotTakenForTheBuiltInOneOfItsName(String name) {
        assertEquals("pg_catalog.text", ColumnType.name(type(name, 70_002, Types.STRUCT)));
    }

    @Test
    void anOidAboveTwoBillionIsOne() {
        assertEquals("pg_catalog.text", ColumnType.name(type("int4", (int) 4_000_000_000L, Types.OTHER)));
    }
}
