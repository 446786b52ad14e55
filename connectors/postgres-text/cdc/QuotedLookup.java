package cdc;

import io.debezium.processors.reselect.ReselectColumnsPostProcessor;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;

/**
 * Looks TOASTed values that did not change up by the row's key, as Debezium's processor does, which
 * writes the names of the key's columns into its query as they are: "Id" or "user" is another column
 * there, or none, and the change would be left out. Here they are quoted. For
 * <code>reselect.use.event.key=true</code>, since only then names are taken from the key.
 */
public final class QuotedLookup extends ReselectColumnsPostProcessor {
    private final Map<Schema, Schema> quoted = new ConcurrentHashMap<>();

    @Override
    public void apply(Object messageKey, Struct value) {
        super.apply(messageKey instanceof Struct key ? withQuotedNames(key) : messageKey, value);
    }

    private Struct withQuotedNames(Struct key) {
        Schema schema = quoted.computeIfAbsent(key.schema(), QuotedLookup::quotedSchema);
        Struct copy = new Struct(schema);
        // By position: both have the same fields in the same order.
        for (Field field : key.schema().fields())
            copy.put(schema.fields().get(field.index()), key.get(field));
        return copy;
    }

    private static Schema quotedSchema(Schema schema) {
        SchemaBuilder builder = SchemaBuilder.struct();
        for (Field field : schema.fields())
            builder.field('"' + field.name().replace("\"", "\"\"") + '"', field.schema());
        return builder.build();
    }
}
