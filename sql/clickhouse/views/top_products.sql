-- Products by what they brought in, the best first.
CREATE MATERIALIZED VIEW ecommerce.top_products
REFRESH EVERY 10 SECOND
ENGINE = MergeTree ORDER BY rank
AS
SELECT
    row_number() OVER (ORDER BY s.revenue DESC, s.product_id) AS rank,
    s.product_id AS product_id,
    p.product_name AS product_name,
    p.category AS category,
    s.units AS units,
    s.revenue AS revenue
FROM
(
    SELECT product_id, sum(quantity) AS units, sum(total_amount) AS revenue
    FROM ecommerce.transactions
    WHERE payment_method IS NOT NULL
    GROUP BY product_id
) AS s
INNER JOIN ecommerce.products AS p ON p.product_id = s.product_id;
