package cdc;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.debezium.config.Configuration;
import java.util.List;
import org.apache.kafka.common.config.ConfigException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ColumnRulesTest {
    private static final int OID = 16_385;
    private static final List<String> SENT = List.of("id", "name");
    private static final List<String> COLUMNS = List.of("1 id", "2 secret", "4 name");
    private static final String KNOWN =
            "{\"table\":\"app.people\",\"columns\":[\"1 id\",\"2 secret\",\"4 name\"],\"sent\":[\"id\",\"name\"]}";

    private static ColumnRules rules(String ruled, String patterns) {
        return new ColumnRules(Configuration.create()
                .with("text.ruled", ruled)
                .with("text.private", patterns)
                .build());
    }

    private static final ColumnRules RULES = rules("{\"" + OID + "\":" + KNOWN + "}", "[\"app\\\\..*\"]");

    @Test
    void withoutRulesEverythingIsSent() {
        assertFalse(new ColumnRules(Configuration.empty()).withholds(1, "app.people", SENT, () -> COLUMNS));
    }

    @Test
    void aTableThatIsAsItWasKnownIsSent() {
        assertFalse(RULES.withholds(OID, "app.people", SENT, () -> COLUMNS));
        assertFalse(RULES.withholds(OID, "app.people", COLUMNS));
    }

    @Test
    void aTableThatWasRenamedIsWithheld() {
        assertTrue(RULES.withholds(OID, "app.persons", SENT, () -> COLUMNS));
        assertTrue(RULES.withholds(OID, "app.persons", COLUMNS));
    }

    @Test
    void oneWithOtherColumnsInTheStreamIsWithheldWithoutAskingTheCatalog() {
        assertTrue(RULES.withholds(OID, "app.people", List.of("id", "secret"), () -> fail("was asked")));
        // In another order they are others: values come by their places.
        assertTrue(RULES.withholds(OID, "app.people", List.of("name", "id"), () -> fail("was asked")));
    }

    @Test
    void namesThatWereSwappedAreToldByTheNumbersOfTheColumns() {
        List<String> swapped = List.of("1 id", "2 name", "4 secret");
        assertTrue(RULES.withholds(OID, "app.people", SENT, () -> swapped));
        assertTrue(RULES.withholds(OID, "app.people", swapped));
    }

    @Test
    void aColumnThatWasDroppedAndAddedAgainIsAnother() {
        assertTrue(RULES.withholds(OID, "app.people", List.of("1 id", "4 name", "5 secret")));
    }

    @Test
    void aTableThatIsNotKnownIsWithheldWhereAPatternNamesIt() {
        assertTrue(RULES.withholds(OID + 1, "app.people", SENT, () -> COLUMNS));
        assertTrue(RULES.withholds(OID + 1, "app.people", COLUMNS));
        assertFalse(RULES.withholds(OID + 1, "other.people", SENT, () -> COLUMNS));
        // Of the whole name, not of a part of it.
        assertFalse(RULES.withholds(OID + 1, "my_app.people", SENT, () -> COLUMNS));
    }

    @Test
    void anOidAboveTwoBillionIsOne() {
        ColumnRules rules = rules("{\"4000000000\":" + KNOWN + "}", "[]");
        assertFalse(rules.withholds((int) 4_000_000_000L, "app.people", COLUMNS));
        assertTrue(rules.withholds((int) 4_000_000_000L, "app.people", SENT));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{", "[]", "null", "{}}", "{\"x\":1}", "{\"1\":{\"unknown\":1}}"})
    void whatCannotBeReadStopsTheConnector(String ruled) {
        assertThrows(ConfigException.class, () -> rules(ruled, "[]"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{", "null", "[]]", "[\"(\"]", "{\"a\":1}"})
    void soDoPatternsThatAreNone(String patterns) {
        assertThrows(ConfigException.class, () -> rules("{}", patterns));
    }
}
