DROP INDEX `apps_by_name`;--> statement-breakpoint
ALTER TABLE `apps` ADD `deleted_at` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `apps_by_name` ON `apps` (`organization_id`,`name`) WHERE deleted_at is null;