import { EXIT, entry } from './problemEntry.ts';

/** What a user can meet with backups. */
export const BACKUP_PROBLEMS = {
  BACKUP_NO_TARGET: entry(
    EXIT.configuration,
    'Nothing says where backups go.',
    'cdc.yaml has no backup.to. A folder on the same disk helps against a mistake, not against the loss of the disk: only you know a better one.',
    `printf 'backup:\\n  to: /mnt/backups/cdc\\n' >> cdc.yaml`,
  ),
  BACKUP_TARGET_UNSUPPORTED: entry(
    EXIT.configuration,
    'Backups cannot go to {to}.',
    '{detail}',
    "printf 'backup:\\n  to: /mnt/backups/cdc\\n' >> cdc.yaml   # a folder; copy it to where you like, such as with aws s3 sync",
  ),
  BACKUP_NOT_HERE: entry(
    EXIT.refused,
    'This pipeline is none that cdc can {verb}.',
    '{detail}',
    '{instead}',
  ),
  BACKUP_BUSY: entry(
    EXIT.refused,
    'Another backup or restore goes on here (pid {pid}).',
    'The agent makes backups by its schedule (backup.every), or another cdc backup runs.',
    'cdc backup list   # shows it once it has ended',
  ),
  BACKUP_FOLDER_TAKEN: entry(
    EXIT.refused,
    'The backups in {path} are of another pipeline.',
    'They are of {theirs}; this is {ours}. In one folder each would take the other for its own past.',
    "printf 'backup:\\n  to: {path}-2\\n' >> cdc.yaml   # a folder of its own",
  ),
  BACKUP_UNKNOWN: entry(
    EXIT.usage,
    'There is no backup {backup}.',
    '{detail}',
    'cdc backup list   # those that are there',
  ),
  BACKUP_DAMAGED: entry(
    EXIT.found,
    'Backup {backup} is damaged.',
    '{detail}',
    'cdc backup list   # take another one; and a new one, if the pipeline still runs: cdc backup create --full',
  ),
  BACKUP_NEWER: entry(
    EXIT.refused,
    'A newer cdc made backup {backup}.',
    'It has a form that this one does not know ({detail}).',
    'Restore it with the cdc that made it, or a newer one.',
  ),
  BACKUP_PASSPHRASE: entry(
    EXIT.refused,
    'The passphrase does not open the secrets of backup {backup}.',
    'It was made with another one. Nothing was changed.',
    'export CDC_BACKUP_PASSPHRASE=…   # the one of then; without any, secrets are made anew: unset CDC_BACKUP_PASSPHRASE',
  ),
  RESTORE_TIME: entry(
    EXIT.usage,
    'The backups do not reach to {at}.',
    '{detail}',
    'cdc backup list   # what they reach from and to',
  ),
  RESTORE_OVER_DATA: entry(
    EXIT.refused,
    'There is a stack in {directory} already, and a backup is not put over it.',
    '{detail}',
    'Run it in an empty folder; or, to have the backup in its place: cdc restore {backup} --replace   # moves what is there aside, to {aside}',
  ),
  RESTORE_UNFINISHED: entry(
    EXIT.refused,
    'A restore of {backup} has not ended in this folder.',
    'It was interrupted, so that what stands here is no whole stack.',
    'cdc restore {path}   # begins it again',
  ),
  RESTORE_SLOT_IN_USE: entry(
    EXIT.refused,
    'Another stack reads slot {slot} of the source.',
    'It is the one that the backup is of, or one that was restored before. Two with one slot would take changes from each other.',
    'cdc down   # in the folder of that stack; then the same command again',
  ),
} as const;
