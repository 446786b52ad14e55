/** What the reason of a dead letter begins with, by the word that figures count it under. */
export const LETTER_REASONS = {
  not_json: 'not JSON of the expected form',
  too_large: 'its row is larger than a message can be',
  unread: 'a value of its row could not be read in PostgreSQL',
  operation: 'operation not known',
  no_image: 'no image of the row',
  no_position: 'no WAL position',
  no_table: 'no such table',
} as const;
