package cdc;

import org.postgresql.util.PGobject;

/**
 * An interval as the driver reads it where Debezium asks with SQL: PostgreSQL's text. The driver's own
 * PGInterval reads infinity as zero. (driver.datatype.interval names this class.)
 */
public final class IntervalText extends PGobject {
    private static final long serialVersionUID = 1L;
}
