CREATE TABLE `opened_sockets` (
	`organization_id` text NOT NULL,
	`credential` text NOT NULL,
	`session_id` text NOT NULL,
	`opened_at` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `credential`, `session_id`),
	FOREIGN KEY (`organization_id`) REFERENCES `organizations`(`id`) ON UPDATE no action ON DELETE no action
);
