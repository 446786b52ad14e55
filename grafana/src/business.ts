import { TextBoxVariableBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { figure, graph, page, prom, row, type Step, sql, table } from './model.ts';

const NEUTRAL: readonly Step[] = [{ from: null, colour: 'blue' }];
const PAID = 'payment_method IS NOT NULL';

/** Reads the copy itself: what it shows is what somebody who queries ClickHouse sees. */
export function businessAnalytics() {
  return page(
    'cdc-business',
    'Business Analytics',
    'The e-commerce example as ClickHouse has it: cdc load ecommerce.',
  )
    .time({ from: 'now-24h', to: 'now' })
    .withVariable(
      new TextBoxVariableBuilder('database')
        .label('Database')
        .description('Database of the copy in ClickHouse.')
        .defaultValue('ecommerce')
        .current({ text: 'ecommerce', value: 'ecommerce' }),
    )
    .withRow(row('Is it healthy'))
    .withPanel(
      figure({
        title: 'Figures are',
        says: 'Since the newest change that ClickHouse has was committed in PostgreSQL.',
        queries: [prom('cdc_heartbeat_age_seconds')],
        unit: 's',
        steps: [
          { from: null, colour: 'green' },
          { from: 10, colour: 'red' },
        ],
        alerts: ['CdcPipelineStalled'],
      }),
    )
    .withPanel(
      figure({
        title: 'Revenue',
        says: 'Of what was paid for, in the time shown.',
        queries: [
          sql(
            `SELECT toFloat64(sum(total_amount)) AS revenue FROM $database.transactions WHERE ${PAID} AND $__timeFilter(timestamp)`,
          ),
        ],
        unit: 'currencyUSD',
        steps: NEUTRAL,
      }),
    )
    .withPanel(
      figure({
        title: 'Orders',
        says: 'Purchases in the time shown.',
        queries: [
          sql(
            `SELECT uniqExact(event_id) AS orders FROM $database.transactions WHERE ${PAID} AND $__timeFilter(timestamp)`,
          ),
        ],
        unit: 'short',
        steps: NEUTRAL,
      }),
    )
    .withPanel(
      figure({
        title: 'Average order',
        says: 'Revenue by purchase.',
        queries: [
          sql(
            `SELECT toFloat64(sum(total_amount)) / nullIf(uniqExact(event_id), 0) AS average FROM $database.transactions WHERE ${PAID} AND $__timeFilter(timestamp)`,
          ),
        ],
        unit: 'currencyUSD',
        decimals: 2,
        steps: NEUTRAL,
      }),
    )
    .withPanel(
      figure({
        title: 'Visitors',
        says: 'Different users in the time shown.',
        queries: [
          sql(
            'SELECT uniqExact(user_id) AS visitors FROM $database.events WHERE $__timeFilter(timestamp)',
          ),
        ],
        unit: 'short',
        steps: NEUTRAL,
      }),
    )
    .withPanel(
      figure({
        title: 'Conversion',
        says: 'Sessions that bought, of all.',
        queries: [
          sql(
            "SELECT uniqExactIf(session_id, event_type = 'purchase') / nullIf(uniqExact(session_id), 0) AS conversion FROM $database.events WHERE $__timeFilter(timestamp)",
          ),
        ],
        unit: 'percentunit',
        decimals: 1,
        steps: NEUTRAL,
      }),
    )
    .withRow(row('Trends'))
    .withPanel(
      graph({
        title: 'Revenue',
        says: 'Over time.',
        queries: [
          sql(
            `SELECT $__timeInterval(timestamp) AS time, toFloat64(sum(total_amount)) AS revenue FROM $database.transactions WHERE ${PAID} AND $__timeFilter(timestamp) GROUP BY time ORDER BY time`,
            'timeseries',
          ),
        ],
        unit: 'currencyUSD',
      }),
    )
    .withPanel(
      graph({
        title: 'Orders',
        says: 'Over time.',
        queries: [
          sql(
            `SELECT $__timeInterval(timestamp) AS time, uniqExact(event_id) AS orders FROM $database.transactions WHERE ${PAID} AND $__timeFilter(timestamp) GROUP BY time ORDER BY time`,
            'timeseries',
          ),
        ],
        unit: 'short',
      }),
    )
    .withPanel(
      graph({
        title: 'Events by type',
        says: 'Over time.',
        queries: [
          sql(
            'SELECT $__timeInterval(timestamp) AS time, event_type, count() AS events FROM $database.events WHERE $__timeFilter(timestamp) GROUP BY time, event_type ORDER BY time',
            'timeseries',
          ),
        ],
        unit: 'short',
      }),
    )
    .withPanel(
      graph({
        title: 'Totals by the agent’s count',
        says: 'Of all time, as the agent reads them once a minute.',
        queries: [
          prom('cdc_business_orders', { legend: 'orders' }),
          prom('cdc_business_events', { legend: '{{type}}' }),
        ],
        unit: 'short',
      }),
    )
    .withRow(row('What sells'))
    .withPanel(
      table({
        title: 'Products',
        says: 'By revenue, in the time shown.',
        queries: [
          sql(
            `SELECT p.product_name AS product, p.category AS category, sum(t.quantity) AS units, toFloat64(sum(t.total_amount)) AS revenue FROM $database.transactions AS t INNER JOIN $database.products AS p ON p.product_id = t.product_id WHERE t.${PAID} AND $__timeFilter(t.timestamp) GROUP BY product, category ORDER BY revenue DESC LIMIT 10`,
          ),
        ],
      }),
    )
    .withPanel(
      table({
        title: 'Categories',
        says: 'By revenue, in the time shown.',
        queries: [
          sql(
            `SELECT p.category AS category, sum(t.quantity) AS units, toFloat64(sum(t.total_amount)) AS revenue FROM $database.transactions AS t INNER JOIN $database.products AS p ON p.product_id = t.product_id WHERE t.${PAID} AND $__timeFilter(t.timestamp) GROUP BY category ORDER BY revenue DESC`,
          ),
        ],
      }),
    )
    .withPanel(
      table({
        title: 'Payment methods',
        says: 'In the time shown.',
        queries: [
          sql(
            `SELECT payment_method, uniqExact(event_id) AS orders, toFloat64(sum(total_amount)) AS revenue FROM $database.transactions WHERE ${PAID} AND $__timeFilter(timestamp) GROUP BY payment_method ORDER BY revenue DESC`,
          ),
        ],
      }),
    )
    .withPanel(
      table({
        title: 'Events in the copy',
        says: 'All of them, of all time.',
        queries: [
          sql(
            'SELECT count() AS events, uniq(user_id) AS users, min(timestamp) AS first, max(timestamp) AS last FROM $database.events',
          ),
        ],
      }),
    );
}
