package io.debezium.connector.postgresql.connection.pgoutput;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.debezium.connector.postgresql.PostgresType;
import io.debezium.connector.postgresql.TypeRegistry;
import java.sql.Types;
import org.junit.jupiter.api.Test;

class ColumnMetaDataTest {
    private static ColumnMetaData column(String type, int oid, String nameInCatalog) {
        PostgresType postgresType =
                new PostgresType.Builder(null, type, oid, Types.OTHER, TypeRegistry.NO_TYPE_MODIFIER, null).build();
        return new ColumnMetaData("c", postgresType, true, false, true, "nextval('s')", 4, nameInCatalog);
    }

    @Test
    void theTypeIsTheMessagesNotWhatTheCatalogCallsItNow() {
        ColumnMetaData column = column("int4", 23, "timestamptz");
        assertEquals(23, column.getPostgresType().getOid());
        assertEquals("pg_catalog.int4", column.getTypeName());
        assertEquals("pg_catalog.int4", column.getDriverTypeName());
    }

    @Test
    void aTypeThatDebeziumDoesNotCarryExactlyIsText() {
        ColumnMetaData column = column("point", 70_000, "point");
        assertEquals("pg_catalog.text", column.getTypeName());
        assertEquals(Types.VARCHAR, column.getPostgresType().getJdbcId());
    }

    @Test
    void whatItIsBesidesStays() {
        ColumnMetaData column = column("int4", 23, "int4");
        assertEquals("c", column.getColumnName());
        assertTrue(column.isKey());
        assertFalse(column.isOptional());
    }

    @Test
    void defaultsAreNotParsed() {
        assertFalse(column("int4", 23, "int4").hasDefaultValue());
        assertNull(column("int4", 23, "int4").getDefaultValueExpression());
    }
}
