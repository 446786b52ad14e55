package cdc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.apache.kafka.connect.errors.DataException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.postgresql.util.PGobject;

/** What becomes of a value; which columns are sent as text is in PostgresTextColumnsTest. */
class PostgresTextTest {
    private static final int INT4 = 23;
    private static final int BIT = 1560;
    private static final int TEXT = 25;

    private static String text(Object value) {
        return PostgresText.text(0, value);
    }

    // What PostgreSQL prints with extra_float_digits at its default.
    @ParameterizedTest
    @CsvSource({
        "0,0",
        "-0.0,-0",
        "1,1",
        "-1.5,-1.5",
        "0.1,0.1",
        "0.0001,0.0001",
        "0.00001,1e-05",
        "-0.00001234,-1.234e-05",
        "100000,100000",
        "123456789012345,123456789012345",
        "1e14,100000000000000",
        "1e15,1e+15",
        "1234567890123456,1.234567890123456e+15",
        "1e100,1e+100",
        "1e22,1e+22",
        "1e23,9.999999999999999e+22",
        "9007199254740993,9.007199254740992e+15",
        "0.30000000000000004,0.30000000000000004",
        "1.7976931348623157e308,1.7976931348623157e+308",
        "4.9e-324,5e-324",
        "2.2250738585072014e-308,2.2250738585072014e-308",
        "NaN,NaN",
        "Infinity,Infinity",
        "-Infinity,-Infinity"
    })
    void aDoubleIsPrintedAsPostgresqlDoes(double value, String expected) {
        assertEquals(expected, text(value));
    }

    @ParameterizedTest
    @CsvSource({
        "0,0",
        "-0.0,-0",
        "0.1,0.1",
        "16777216,1.6777216e+07",
        "123456,123456",
        "100000,100000",
        "1000000,1e+06",
        "0.0001,0.0001",
        "0.00001,1e-05",
        "3.4028235e38,3.4028235e+38",
        "1.4e-45,1e-45",
        "1.17549435e-38,1.1754944e-38",
        "-2.5,-2.5",
        "NaN,NaN",
        "Infinity,Infinity",
        "-Infinity,-Infinity"
    })
    void aFloatIsPrintedAsPostgresqlDoes(float value, String expected) {
        assertEquals(expected, text(value));
    }

    @Test
    void everyNumberReadsBackEqual() {
        Random random = new Random(1);
        for (int i = 0; i < 1_000; i += 1) {
            double d = Double.longBitsToDouble(random.nextLong());
            if (!Double.isNaN(d)) assertEquals(d, Double.parseDouble(text(d)));
            float f = Float.intBitsToFloat(random.nextInt());
            if (!Float.isNaN(f)) assertEquals(f, Float.parseFloat(text(f)));
        }
        for (int exponent = Double.MIN_EXPONENT; exponent <= Double.MAX_EXPONENT; exponent += 11) {
            double power = Math.scalb(1.0, exponent);
            for (double d : List.of(power, Math.nextUp(power), Math.nextDown(power)))
                assertEquals(d, Double.parseDouble(text(d)));
        }
    }

    @Test
    void noNumberHasMoreDigitsThanItTakes() {
        Random random = new Random(2);
        for (int i = 0; i < 1_000; i += 1) {
            // Few digits, so that it is known that they are enough; and none that lies between two numbers, as 1e23.
            double d = Double.parseDouble(random.nextInt(1_000_000) + "e" + (random.nextInt(109) - 100));
            String digits = text(d).replaceAll("e.*|\\D", "").replaceAll("^0+|0+$", "");
            assertTrue(digits.length() <= 6, () -> d + " became " + text(d));
        }
    }

    @Test
    void numbersAreWrittenOut() {
        assertEquals("1000", text(new BigDecimal("1E+3")));
        assertEquals("0.000000001", text(new BigDecimal("1E-9")));
        assertEquals("1.50", text(new BigDecimal("1.50")));
        assertEquals("9223372036854775807", text(Long.MAX_VALUE));
        assertEquals("-5", text((short) -5));
    }

    @Test
    void aBooleanIsALetterButABitIsADigit() {
        assertEquals("t", PostgresText.text(ColumnType.BOOL, true));
        assertEquals("f", PostgresText.text(ColumnType.BOOL, false));
        assertEquals("1", PostgresText.text(BIT, true));
        assertEquals("0", PostgresText.text(BIT, false));
    }

    @Test
    void bytesAreHexadecimalWhereTheColumnIsBytea() {
        byte[] bytes = {0, (byte) 0xff, 0x41};
        assertEquals("\\x00ff41", PostgresText.text(ColumnType.BYTEA, bytes));
        assertEquals("\\x", PostgresText.text(ColumnType.BYTEA, new byte[0]));
        assertEquals("\\x00ff41", PostgresText.text(ColumnType.BYTEA, ByteBuffer.wrap(bytes)));
    }

    @Test
    void bytesOfAnyOtherTypeAreItsText() {
        byte[] bytes = "{ä,€}".getBytes(UTF_8);
        assertEquals("{ä,€}", PostgresText.text(TEXT, bytes));
        assertEquals("{ä,€}", PostgresText.text(TEXT, ByteBuffer.wrap(bytes)));
    }

    @Test
    void aBufferCanBeReadAgainFromWhereItStood() {
        ByteBuffer buffer = ByteBuffer.wrap("xyab".getBytes(UTF_8)).position(2);
        assertEquals("ab", PostgresText.text(TEXT, buffer));
        assertEquals("ab", PostgresText.text(TEXT, buffer));
    }

    @Test
    void textIsHandedThrough() throws Exception {
        assertEquals("24:00:00", text("24:00:00"));
        assertEquals("", text(""));
        UUID uuid = UUID.fromString("00000000-0000-0000-0000-00000000000a");
        assertEquals("00000000-0000-0000-0000-00000000000a", text(uuid));
        PGobject object = new PGobject();
        object.setValue("(1,\"a b\")");
        assertEquals("(1,\"a b\")", text(object));
        assertNull(text(new PGobject()));
    }

    @Test
    void anIntervalIsPostgresqlsText() throws Exception {
        IntervalText interval = new IntervalText();
        interval.setValue("infinity");
        assertEquals("infinity", text(interval));
    }

    @Test
    void aValueOfWhichNoTextIsKnownIsRefused() {
        DataException refused = assertThrows(DataException.class, () -> PostgresText.text(INT4, new int[] {1}));
        assertTrue(refused.getMessage().contains("[I"));
    }
}
