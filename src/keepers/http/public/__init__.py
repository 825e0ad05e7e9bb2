"""What customers themselves reach: links in messages, the preference page, forms, and the inbox of a site or app."""
