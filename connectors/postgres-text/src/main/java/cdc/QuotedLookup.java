package cdc;

import static io.debezium.bean.StandardBeanNames.JDBC_CONNECTION;

import io.debezium.bean.spi.BeanRegistry;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.processors.reselect.ReselectColumnsPostProcessor;
import io.debezium.relational.Table;
import io.debezium.relational.TableId;
import java.lang.reflect.Proxy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.kafka.connect.data.Struct;

/**
 * Looks TOASTed values that did not change up by the row's key, as Debezium's own processor does. That
 * one writes the names of the key's columns into its query as they are, and casts values to the types'
 * bare names: by a key "Id" or "user", of an enum, a composite, bits or bytea it finds no row, and the
 * change would be left out. What it finds it reads by the names of types (see ColumnType).
 *
 * <p>Needs <code>driver.stringtype=unspecified</code>, so that a key's text is a value of the column's
 * type, and <code>binary.handling.mode=hex</code>.
 */
public final class QuotedLookup extends ReselectColumnsPostProcessor {
    @Override
    public void injectBeanRegistry(BeanRegistry registry) {
        Object withQuotes = Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {BeanRegistry.class}, (proxy, method, arguments) -> {
                    Object found = method.invoke(registry, arguments);
                    boolean isConnection =
                            method.getName().equals("lookupByName") && JDBC_CONNECTION.equals(arguments[0]);
                    return isConnection ? new Quoted((JdbcConnection) found) : found;
                });
        super.injectBeanRegistry((BeanRegistry) withQuotes);
    }

    /** Has no connection of its own. */
    private static final class Quoted extends JdbcConnection {
        private final JdbcConnection connection;

        Quoted(JdbcConnection connection) {
            super(connection.config(), config -> connection.connection(), "\"", "\"");
            this.connection = connection;
        }

        @Override
        public String getQualifiedTableName(TableId id) {
            return connection.getQualifiedTableName(id);
        }

        @Override
        public TableId createTableId(String database, String schema, String table) {
            return connection.createTableId(database, schema, table);
        }

        @Override
        public boolean reselectColumns(
                Table table,
                List<String> columns,
                List<String> keyColumns,
                List<Object> keyValues,
                Struct source,
                ResultSetConsumer row)
                throws SQLException {
            String selected = columns.stream().map(Quoted::quote).collect(Collectors.joining(", "));
            String condition = keyColumns.stream()
                    .map(name -> quote(name) + " = " + parameter(table, name))
                    .collect(Collectors.joining(" AND "));
            TableId id = table.id();
            return connection.prepareQueryAndMap(
                    "SELECT " + selected + " FROM " + quote(id.schema()) + "." + quote(id.table()) + " WHERE "
                            + condition,
                    statement -> {
                        for (int i = 0; i < keyValues.size(); i += 1) statement.setObject(i + 1, keyValues.get(i));
                    },
                    rows -> {
                        if (!rows.next()) return false;
                        row.accept(typed(rows, table, columns));
                        return true;
                    });
        }

        /** The driver's getObject goes by the name of a type; elsewhere Debezium does not, where it reads with SQL. */
        private ResultSet typed(ResultSet rows, Table table, List<String> columns) {
            return (ResultSet) Proxy.newProxyInstance(
                    getClass().getClassLoader(), new Class<?>[] {ResultSet.class}, (proxy, method, arguments) -> {
                        if (!method.getName().equals("getObject")) throw new UnsupportedOperationException();
                        String name = (String) arguments[0];
                        int index = columns.indexOf(name) + 1;
                        return connection.getColumnValue(rows, index, table.columnWithName(name), table);
                    });
        }

        private static String parameter(Table table, String name) {
            return table.columnWithName(name).nativeType() == ColumnType.BYTEA ? "decode(?, 'hex')" : "?";
        }

        private static String quote(String name) {
            return '"' + name.replace("\"", "\"\"") + '"';
        }
    }
}
