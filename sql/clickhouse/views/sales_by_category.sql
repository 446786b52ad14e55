-- What was sold, by category: of carts only what was paid for.
CREATE MATERIALIZED VIEW ecommerce.sales_by_category
REFRESH EVERY 10 SECOND
ENGINE = MergeTree ORDER BY category
AS
SELECT
    p.category AS category,
    count() AS purchases,
    sum(t.quantity) AS units,
    sum(t.total_amount) AS revenue
FROM ecommerce.transactions AS t
INNER JOIN ecommerce.products AS p ON p.product_id = t.product_id
WHERE t.payment_method IS NOT NULL
GROUP BY p.category;
