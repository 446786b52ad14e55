package cdc;

import static io.debezium.bean.StandardBeanNames.JDBC_CONNECTION;

import io.debezium.bean.spi.BeanRegistry;
import io.debezium.jdbc.JdbcConnection;
import io.debezium.processors.reselect.ReselectColumnsPostProcessor;
import io.debezium.relational.Table;
import io.debezium.relational.TableId;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.RetriableException;

/**
 * Looks TOASTed values that did not change up by the row's key, as Debezium's own processor does. That
 * one writes the names of the key's columns into its query as they are, and casts values to the types'
 * bare names: by a key "Id" or "user", of an enum, a composite, bits or bytea it finds no row, and the
 * change would be left out. What it finds it reads by the names of types (see ColumnType).
 *
 * <p>A change whose value was not looked up is not one whose row is gone, for which Debezium takes it. Where the
 * connection is gone (ended by the server while it was idle, dropped by the network) another one is asked, and Debezium
 * reads on from the last stored offset where there is none to be had. Where the server refuses the query (its column has
 * another name by now, a time-out) the change says so in its <code>op</code>: <code>unread, u, SQLSTATE 42703</code>, and its
 * row is read later by the key (see BoundedJson).
 *
 * <p>Needs <code>driver.stringtype=unspecified</code>, so that a key's text is a value of the column's
 * type, and <code>binary.handling.mode=hex</code>.
 */
public final class QuotedLookup extends ReselectColumnsPostProcessor {
    private static final int ANSWER_MS = 30_000;
    private static final int TRIES = 3;
    /** SQLSTATE of the query that the server refused for the change at hand; null where none was. */
    private String refused;

    @Override
    public void apply(Object key, Struct change) {
        refused = null;
        super.apply(key, change);
        if (refused != null) change.put("op", "unread, " + change.getString("op") + ", SQLSTATE " + refused);
    }

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
    private final class Quoted extends JdbcConnection {
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
            String selected = columns.stream().map(this::quote).collect(Collectors.joining(", "));
            String condition = keyColumns.stream()
                    .map(name -> quote(name) + " = " + parameter(table, name))
                    .collect(Collectors.joining(" AND "));
            TableId id = table.id();
            String query = "SELECT " + selected + " FROM " + quote(id.schema()) + "." + quote(id.table()) + " WHERE "
                    + condition;
            for (int tries = 1; ; tries += 1) {
                try {
                    return isFound(query, keyValues, rows -> row.accept(typed(rows, table, columns)));
                } catch (SQLException error) {
                    if (!isGone(error)) {
                        refused = error.getSQLState();
                        return false;
                    }
                    // Statements that Debezium keeps prepared would fail on every later connection, too.
                    connection.close();
                    if (tries == TRIES) throw new RetriableException("Looking a value up in " + id, error);
                }
            }
        }

        private boolean isFound(String query, List<Object> keyValues, ResultSetConsumer row) throws SQLException {
            Connection session = connection.connection();
            // A network that dropped the connection without a word would be waited for without end.
            session.setNetworkTimeout(Runnable::run, ANSWER_MS);
            try (PreparedStatement statement = session.prepareStatement(query)) {
                for (int i = 0; i < keyValues.size(); i += 1) statement.setObject(i + 1, keyValues.get(i));
                try (ResultSet rows = statement.executeQuery()) {
                    if (!rows.next()) return false;
                    row.accept(rows);
                    return true;
                }
            } finally {
                if (!session.isClosed()) session.setNetworkTimeout(Runnable::run, 0);
            }
        }

        /** The session, or the server: https://www.postgresql.org/docs/current/errcodes-appendix.html */
        private boolean isGone(SQLException error) throws SQLException {
            String state = error.getSQLState();
            return state == null
                    || state.startsWith("08")
                    || state.startsWith("53")
                    || state.startsWith("57P")
                    || !connection.isConnected();
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

        private String parameter(Table table, String name) {
            return table.columnWithName(name).nativeType() == ColumnType.BYTEA ? "decode(?, 'hex')" : "?";
        }

        private String quote(String name) {
            return '"' + name.replace("\"", "\"\"") + '"';
        }
    }
}
