"""The supply chain: licences, known vulnerabilities and a bill of materials of what the images hold."""
