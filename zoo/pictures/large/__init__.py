"""Pictures that lie in scratch files, because their pixels would fill the memory."""
