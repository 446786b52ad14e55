-- Traffic and sales by day, UTC.
CREATE MATERIALIZED VIEW ecommerce.daily_metrics
REFRESH EVERY 10 SECOND
ENGINE = MergeTree ORDER BY day
AS
SELECT
    e.day AS day,
    e.events AS events,
    e.page_views AS page_views,
    e.searches AS searches,
    e.carts AS carts,
    e.purchases AS purchases,
    e.users AS users,
    e.sessions AS sessions,
    t.units AS units,
    t.revenue AS revenue
FROM
(
    SELECT
        toDate(timestamp, 'UTC') AS day,
        count() AS events,
        countIf(event_type = 'page_view') AS page_views,
        countIf(event_type = 'search') AS searches,
        countIf(event_type = 'add_to_cart') AS carts,
        countIf(event_type = 'purchase') AS purchases,
        uniqExact(user_id) AS users,
        uniqExact(session_id) AS sessions
    FROM ecommerce.events
    GROUP BY day
) AS e
LEFT JOIN
(
    SELECT
        toDate(timestamp, 'UTC') AS day,
        sum(quantity) AS units,
        sum(total_amount) AS revenue
    FROM ecommerce.transactions
    WHERE payment_method IS NOT NULL
    GROUP BY day
) AS t ON t.day = e.day;
