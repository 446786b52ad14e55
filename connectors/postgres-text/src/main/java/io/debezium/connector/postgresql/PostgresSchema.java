package io.debezium.connector.postgresql;

import cdc.ColumnRules;
import cdc.ColumnType;
import cdc.SameNames;
import io.debezium.DebeziumException;
import io.debezium.connector.common.CdcSourceTaskContext;
import io.debezium.connector.postgresql.connection.PostgresConnection;
import io.debezium.connector.postgresql.connection.PostgresDefaultValueConverter;
import io.debezium.relational.Column;
import io.debezium.relational.CustomConverterRegistry;
import io.debezium.relational.RelationalDatabaseSchema;
import io.debezium.relational.Table;
import io.debezium.relational.TableId;
import io.debezium.relational.TableSchemaBuilder;
import io.debezium.relational.Tables;
import io.debezium.spi.topic.TopicNamingStrategy;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tables as Debezium knows them. Stands in for Debezium's class of this name (which is why this jar has
 * to come before Debezium's in the plug-in's folder, by its name).
 *
 * <p>What Debezium reads of a table in the catalog, when it starts and when it reads rows with SQL, has types by
 * their names (see ColumnType). Here the catalog is asked for their OIDs. Left out is what only other plug-ins
 * than pgoutput need: which columns can be TOASTed.
 */
public class PostgresSchema extends RelationalDatabaseSchema {
    private static final Logger LOGGER = LoggerFactory.getLogger(PostgresSchema.class);
    private static final String TYPES =
            "SELECT n.nspname, c.relname, a.attname, a.atttypid::int8, c.oid::int8, a.attnum"
                    + " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
                    + " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                    + " WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')";
    private static final String ORDER = " ORDER BY c.oid, a.attnum";
    private static final String COLUMNS = "SELECT a.attnum || ' ' || a.attname FROM pg_catalog.pg_attribute a"
            + " WHERE a.attrelid = ?::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

    private final Map<Integer, Table> tablesByRelation = new HashMap<>();
    private final PostgresConnectorConfig config;
    private final ColumnRules rules;

    protected PostgresSchema(
            CdcSourceTaskContext<PostgresConnectorConfig> context,
            PostgresDefaultValueConverter defaultValueConverter,
            TopicNamingStrategy<TableId> topics,
            PostgresValueConverter valueConverter,
            CustomConverterRegistry converters) {
        super(
                context.getConfig(),
                topics,
                context.getConfig().getTableFilters().dataCollectionFilter(),
                context.getConfig().getColumnFilter(),
                builder(context.getConfig(), valueConverter, defaultValueConverter, converters),
                false,
                context.getConfig().getKeyMapper(),
                context);
        config = context.getConfig();
        rules = new ColumnRules(config.getConfig());
    }

    private static TableSchemaBuilder builder(
            PostgresConnectorConfig config,
            PostgresValueConverter valueConverter,
            PostgresDefaultValueConverter defaultValueConverter,
            CustomConverterRegistry converters) {
        return new TableSchemaBuilder(
                valueConverter,
                defaultValueConverter,
                config.schemaNameAdjuster(),
                converters,
                config.getSourceInfoStructMaker().schema(),
                config.getFieldNamer(),
                false,
                config.getEventConvertingFailureHandlingMode());
    }

    protected PostgresSchema refresh(PostgresConnection connection, boolean printReplicaIdentityInfo)
            throws SQLException {
        read(connection, getTableFilter(), TYPES);
        return this;
    }

    protected void refresh(PostgresConnection connection, TableId id, boolean refreshToastableColumns)
            throws SQLException {
        read(connection, id::equals, TYPES + " AND n.nspname = ? AND c.relname = ?", id.schema(), id.table());
    }

    protected void refreshFromIncrementalSnapshot(PostgresConnection connection, TableId id) throws SQLException {
        refresh(connection, id, false);
    }

    private void read(PostgresConnection connection, Tables.TableFilter filter, String types, String... only)
            throws SQLException {
        Map<List<String>, Integer> oids = new HashMap<>();
        Map<TableId, Integer> relations = new HashMap<>();
        Map<TableId, List<String>> columns = new HashMap<>();
        Map<TableId, List<String>> names = new HashMap<>();
        connection.prepareQuery(
                types + ORDER,
                statement -> {
                    for (int i = 0; i < only.length; i += 1) statement.setString(i + 1, only[i]);
                },
                rows -> {
                    while (rows.next()) {
                        // An OID is unsigned; Debezium has it as an int.
                        int oid = (int) rows.getLong(4);
                        oids.put(List.of(rows.getString(1), rows.getString(2), rows.getString(3)), oid);
                        TableId id = new TableId(null, rows.getString(1), rows.getString(2));
                        relations.put(id, (int) rows.getLong(5));
                        columns.computeIfAbsent(id, none -> new ArrayList<>())
                                .add(rows.getInt(6) + " " + rows.getString(3));
                        names.computeIfAbsent(id, none -> new ArrayList<>()).add(rows.getString(3));
                    }
                });
        Tables found = new Tables();
        connection.readSchema(
                found, null, null, id -> filter.isIncluded(id) && !hasSameNames(names.get(own(id))), null, true);
        for (TableId id : found.tableIds()) {
            TableId own = own(id);
            // One that was made in between is in neither.
            Integer relation = relations.get(own);
            if (relation == null || rules.withholds(relation, label(id), columns.get(own))) {
                LOGGER.warn("{} is withheld: its columns are not those that cdc has set rules for", label(id));
                tables().removeTable(id);
                continue;
            }
            tables().overwriteTable(typed(found.forTable(id), connection.getTypeRegistry(), oids));
            refreshSchema(id);
        }
    }

    private static TableId own(TableId id) {
        return new TableId(null, id.schema(), id.table());
    }

    private static boolean hasSameNames(List<String> names) {
        return names != null && SameNames.among(names);
    }

    /** Without generated columns, which pgoutput does not send, and without defaults, which no event carries. */
    private static Table typed(Table table, TypeRegistry registry, Map<List<String>, Integer> oids) {
        List<Column> columns = table.filterColumns(column -> !column.isGenerated()).stream()
                .map(column -> {
                    Integer oid =
                            oids.get(List.of(table.id().schema(), table.id().table(), column.name()));
                    // Of a column that was made in between nothing is known: text is right for any.
                    PostgresType type = oid == null ? PostgresType.UNKNOWN : registry.get(oid);
                    return column.edit()
                            .type(ColumnType.name(type))
                            .nativeType(ColumnType.of(type).getOid())
                            .jdbcType(ColumnType.of(type).getJdbcId())
                            .unsetLength()
                            .scale(0)
                            .unsetDefaultValueExpression()
                            .create();
                })
                .toList();
        return table.edit().setColumns(columns).create();
    }

    protected boolean isFilteredOut(TableId id) {
        return !getTableFilter().isIncluded(id);
    }

    protected static TableId parse(String table) {
        TableId id = TableId.parse(table, false);
        return id == null || id.schema() != null ? id : new TableId(id.catalog(), "public", id.table());
    }

    public List<String> getToastableColumnsForTableId(TableId id) {
        return List.of();
    }

    /** A Relation message says what a table is from here on. */
    public void applySchemaChangesForTable(int relation, Table table) {
        if (isFilteredOut(table.id())) return;
        if (hasSameNames(table.retrieveColumnNames())) {
            LOGGER.warn("{} is withheld: it has columns whose names differ by case only", label(table.id()));
            tablesByRelation.remove(relation);
            return;
        }
        if (rules.withholds(relation, label(table.id()), table.retrieveColumnNames(), () -> columnsOf(relation))) {
            LOGGER.warn("{} is withheld: its columns are not those that cdc has set rules for", label(table.id()));
            // Its changes are then taken for those of a table that nobody wants.
            tablesByRelation.remove(relation);
            return;
        }
        tablesByRelation.put(relation, table);
        refresh(table);
    }

    private static String label(TableId id) {
        return id.schema() + "." + id.table();
    }

    /** As the catalog has them now, which is no earlier than where the stream is. */
    private List<String> columnsOf(int relation) {
        List<String> columns = new ArrayList<>();
        try (PostgresConnection connection = new PostgresConnection(config.getJdbcConfig(), "cdc column rules")) {
            connection.prepareQuery(
                    COLUMNS, statement -> statement.setLong(1, Integer.toUnsignedLong(relation)), rows -> {
                        while (rows.next()) columns.add(rows.getString(1));
                    });
        } catch (SQLException e) {
            throw new DebeziumException(e);
        }
        return columns;
    }

    /**
     * As the stream has it, by which its values are told apart: what was read in the catalog since then, for
     * reading rows, has columns that the publication does not name, and some that the stream does not know yet.
     */
    public Table tableFor(int relation) {
        Table streamed = tablesByRelation.get(relation);
        return streamed == null || tableFor(streamed.id()) == null ? null : streamed;
    }

    @Override
    public boolean tableInformationComplete() {
        return false;
    }
}
