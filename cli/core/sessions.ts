/**
 * For libpq's and JDBC's `options`: what an operator has set for the application's role or database ends no work of ours.
 * (transaction_timeout is not known before PostgreSQL 17, which then refuses the connection.)
 */
export const NO_TIMEOUTS = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
]
  .map((name) => `-c ${name}=0`)
  .join(' ');
