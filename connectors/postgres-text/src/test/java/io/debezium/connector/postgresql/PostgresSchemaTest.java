package io.debezium.connector.postgresql;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import cdc.ColumnType;
import cdc.PostgresText;
import io.debezium.config.Configuration;
import io.debezium.connector.common.CdcSourceTaskContext;
import io.debezium.relational.Column;
import io.debezium.relational.CustomConverterRegistry;
import io.debezium.relational.Table;
import io.debezium.relational.TableId;
import io.debezium.schema.SchemaTopicNamingStrategy;
import io.debezium.spi.topic.TopicNamingStrategy;
import java.sql.Types;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the stream says of tables; what the catalog says is read from a real one (test/*.stack.test.ts). */
class PostgresSchemaTest {
    private static final int OID = 16_385;

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static PostgresSchema schema(String ruled, String patterns) {
        Configuration options = Configuration.create()
                .with("topic.prefix", "cdc")
                .with("database.dbname", "shop")
                .with("table.include.list", "public.*")
                .with("text.ruled", ruled)
                .with("text.private", patterns)
                .build();
        PostgresConnectorConfig config = new PostgresConnectorConfig(options);
        PostgresValueConverter values = PostgresValueConverter.of(config, UTF_8, null);
        TopicNamingStrategy topics = SchemaTopicNamingStrategy.create(config);
        return new PostgresSchema(
                new CdcSourceTaskContext<>(options, config, Map.of()),
                // No column has a default.
                null,
                topics,
                values,
                new CustomConverterRegistry((List) List.of(new PostgresText())));
    }

    private static PostgresSchema schema() {
        return schema("{}", "[]");
    }

    private static Table table(String schema, String name, String... columns) {
        return Table.editor()
                .tableId(new TableId(null, schema, name))
                .addColumns(List.of(columns).stream()
                        .map(column -> Column.editor()
                                .name(column)
                                .type(ColumnType.name(PostgresType.UNKNOWN))
                                .jdbcType(Types.VARCHAR)
                                .nativeType(ColumnType.of(PostgresType.UNKNOWN).getOid())
                                .create())
                        .toList())
                .create();
    }

    @Test
    void aTableIsWhatItsRelationMessageSaid() {
        PostgresSchema schema = schema();
        Table streamed = table("public", "t", "id", "name");
        schema.applySchemaChangesForTable(OID, streamed);
        assertSame(streamed, schema.tableFor(OID));
        assertNotNull(schema.schemaFor(streamed.id()));
        assertNull(schema.tableFor(OID + 1));
    }

    @Test
    void anotherMessageMakesItAnother() {
        PostgresSchema schema = schema();
        schema.applySchemaChangesForTable(OID, table("public", "t", "id"));
        Table changed = table("public", "t", "id", "added");
        schema.applySchemaChangesForTable(OID, changed);
        assertSame(changed, schema.tableFor(OID));
    }

    @Test
    void aTableThatNobodyWantsIsNotKept() {
        PostgresSchema schema = schema();
        schema.applySchemaChangesForTable(OID, table("other", "t", "id"));
        assertNull(schema.tableFor(OID));
    }

    @Test
    void aTableIsWithheldWhileItHasNamesThatDifferByCaseOnly() {
        PostgresSchema schema = schema();
        schema.applySchemaChangesForTable(OID, table("public", "t", "key"));
        schema.applySchemaChangesForTable(OID, table("public", "t", "key\u00010", "Key\u00011"));
        assertNull(schema.tableFor(OID));
        schema.applySchemaChangesForTable(OID, table("public", "t", "key"));
        assertNotNull(schema.tableFor(OID));
    }

    @Test
    void aTableThatRulesDoNotKnowIsWithheldWhereAPatternNamesIt() {
        PostgresSchema schema = schema("{}", "[\"public\\\\.secret\"]");
        schema.applySchemaChangesForTable(OID, table("public", "secret", "id"));
        schema.applySchemaChangesForTable(OID + 1, table("public", "open", "id"));
        assertNull(schema.tableFor(OID));
        assertNotNull(schema.tableFor(OID + 1));
    }

    @Test
    void aTableThatGotOtherColumnsThanItsRulesKnowIsWithheldFromThereOn() {
        String known = "{\"table\":\"public.t\",\"columns\":[\"1 id\",\"2 name\"],\"sent\":[\"id\",\"name\"]}";
        PostgresSchema schema = schema("{\"" + OID + "\":" + known + "}", "[]");
        // Where the names are others the catalog, which is not there, is not asked.
        schema.applySchemaChangesForTable(OID, table("public", "t", "id", "secret"));
        assertNull(schema.tableFor(OID));
    }

    @Test
    void aNameWithoutASchemaIsOneInPublic() {
        assertEquals(new TableId(null, "public", "t"), PostgresSchema.parse("t"));
        assertEquals(new TableId(null, "app", "t"), PostgresSchema.parse("app.t"));
    }
}
