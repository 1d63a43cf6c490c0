CREATE TABLE `condemned_objects` (
	`organization_id` text NOT NULL,
	`session_id` text NOT NULL,
	`name` text NOT NULL,
	`since` integer NOT NULL,
	`claimed_at` integer,
	PRIMARY KEY(`organization_id`, `session_id`, `name`)
);
--> statement-breakpoint
CREATE TABLE `snapshot_pins` (
	`organization_id` text NOT NULL,
	`snapshot_id` text NOT NULL,
	`session_id` text NOT NULL,
	`holder` text NOT NULL,
	`created_by_name` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `snapshot_id`, `holder`)
);
--> statement-breakpoint
CREATE INDEX `snapshot_pins_by_session` ON `snapshot_pins` (`organization_id`,`session_id`);--> statement-breakpoint
CREATE TABLE `store_shelves` (
	`organization_id` text NOT NULL,
	`session_id` text NOT NULL,
	`bytes` integer NOT NULL,
	`swept_at` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `session_id`)
);
--> statement-breakpoint
CREATE INDEX `store_shelves_by_sweep` ON `store_shelves` (`swept_at`);--> statement-breakpoint
ALTER TABLE `organizations` ADD `session_store_bytes` integer;--> statement-breakpoint
ALTER TABLE `organizations` ADD `organization_store_bytes` integer;--> statement-breakpoint
ALTER TABLE `snapshots` ADD `pruned_at` integer;