package cdc;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.debezium.config.Configuration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.apache.kafka.common.config.ConfigException;

/**
 * Tables with columns that must not be sent, or not in clear. A rule is a column's, whatever it is called, and the
 * stream knows names only. So such a table is compared with what cdc knew of it when it set the rules: where
 * anything differs, nothing of the table is sent until cdc has set them anew (and loads the table again).
 *
 * <p>Options: <code>text.ruled</code>, a JSON object by the tables' OIDs; <code>text.private</code>, a JSON list of
 * patterns of schema.table of which no other table is sent.
 */
public final class ColumnRules {
    /**
     * @param table schema.table
     * @param columns all that are not dropped, as "number name"
     * @param sent names of those that the publication has
     */
    public record Known(String table, List<String> columns, List<String> sent) {}

    private final Map<Integer, Known> known = new HashMap<>();
    private final List<Pattern> patterns;

    public ColumnRules(Configuration config) {
        try {
            // What is not read as it was meant must not be read as "no rules".
            ObjectMapper mapper = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
            Map<String, Known> ruled =
                    mapper.readValue(config.getString("text.ruled", "{}"), new TypeReference<Map<String, Known>>() {});
            ruled.forEach((oid, table) -> known.put(Integer.parseUnsignedInt(oid), table));
            String[] names = mapper.readValue(config.getString("text.private", "[]"), String[].class);
            patterns = List.of(names).stream().map(Pattern::compile).toList();
        } catch (Exception e) {
            throw new ConfigException("text.ruled, text.private: " + e.getMessage());
        }
    }

    /**
     * @param names of the columns, as they are sent
     * @param columns as "number name", as the catalog has them now; a number is never used twice
     */
    public boolean withholds(int oid, String table, List<String> names, Supplier<List<String>> columns) {
        Known before = known.get(oid);
        if (before == null)
            return patterns.stream().anyMatch(pattern -> pattern.matcher(table).matches());
        return !(before.table.equals(table) && before.sent.equals(names) && before.columns.equals(columns.get()));
    }

    /** The same of a table as the catalog has it. */
    public boolean withholds(int oid, String table, List<String> columns) {
        Known before = known.get(oid);
        return withholds(oid, table, before == null ? List.of() : before.sent, () -> columns);
    }
}
